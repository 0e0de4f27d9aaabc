package oidcrp

import (
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// printed is a claim's value that Caddy would print otherwise than it was sent:
// an object, a list of more than plain values, or a number such as 1.50. To an
// expression it is the map, list or double that it holds.
type printed struct {
	*structpb.Value
	text string
}

// String is what Caddy puts in the place of a placeholder.
func (p printed) String() string { return p.text }

// placeholderValue is a claim's value for a placeholder: it has a type, and
// prints as in a header.
func placeholderValue(value claims.Value) any {
	typed := value.Typed()
	switch t := typed.(type) {
	case string, bool, claims.List:
		return typed
	case int64:
		if text := value.Text(); text == strconv.FormatInt(t, 10) {
			return typed
		}
		typed = float64(t) // -0
	case float64:
		if text := value.Text(); text == strconv.FormatFloat(t, 'f', -1, 64) {
			return typed
		}
	}
	wrapped, err := structpb.NewValue(typed)
	if err != nil {
		return value.Text()
	}
	return printed{wrapped, value.Text()}
}
