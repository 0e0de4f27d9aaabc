package identity

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// The names of placeholders about users begin with UserPrefix, and those about
// their sessions with OwnPrefix.
const (
	UserPrefix = "http.auth.user."
	OwnPrefix  = "http.oidc_rp."
)

// Placeholder returns the value of a placeholder that follows from the session
// alone. known reports whether its name has one of the two prefixes: all such
// names are known, and what has no value is empty, since an unknown placeholder
// would be passed on as it is written.
func (u User) Placeholder(name string) (value any, known bool) {
	if rest, ok := strings.CutPrefix(name, UserPrefix); ok {
		return u.userValue(rest), true
	}
	if rest, ok := strings.CutPrefix(name, OwnPrefix); ok {
		return u.sessionValue(rest), true
	}
	return nil, false
}

// userValue returns the value of a placeholder {http.auth.user.*}.
func (u User) userValue(name string) any {
	if !u.SignedIn() {
		if name == "groups" {
			return claims.List(nil) // so that «in» is false, and no error
		}
		return ""
	}
	switch name {
	case "id":
		return u.ID()
	case "name":
		if value, ok := u.Session.Claims.Get("name"); ok {
			return value.Text()
		}
		return ""
	case "email":
		return u.Email()
	case "groups":
		return u.Groups()
	case "claims":
		return typedValue(u.allClaims())
	}
	if path, ok := strings.CutPrefix(name, "claims."); ok {
		if path == "sub" {
			return u.Subject()
		}
		if value, ok := u.Session.Claims.Path(path); ok {
			return typedValue(value)
		}
	}
	return ""
}

// sessionValue returns the value of a placeholder {http.oidc_rp.*}.
func (u User) sessionValue(name string) any {
	if name == "authenticated" {
		return u.SignedIn()
	}
	if !u.SignedIn() {
		return ""
	}
	switch name {
	case "kind":
		return u.Kind()
	case "provider":
		return u.Mapping.Provider
	case "subject":
		return u.Subject()
	case "issuer":
		return u.Issuer()
	case "expires":
		if u.Session.Expires.IsZero() { // an access key without an end
			return ""
		}
		return u.Session.Expires.UTC().Format(time.RFC3339)
	}
	return ""
}

// printed is a claim's value that Caddy would print otherwise than it was sent:
// an object, a list of more than plain values, or a number such as 1.50. To an
// expression it is the map, list or double that it holds.
type printed struct {
	*structpb.Value
	text string
}

// String returns what Caddy prints for a placeholder.
func (p printed) String() string { return p.text }

// typedValue returns a claim's value for a placeholder: it has a type, and prints
// as in a header.
func typedValue(value claims.Value) any {
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
