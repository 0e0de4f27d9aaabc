package identity

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// Prefixes of placeholders about users, and about their sessions.
const (
	UserPrefix = "http.auth.user."
	OwnPrefix  = "http.oidc_rp."
)

// Placeholder returns the value of a placeholder that depends on the session alone.
// known reports whether its name has one of the two prefixes. All such names are
// known, and empty if they have no value, because Caddy leaves unknown placeholders
// as they are.
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
			return claims.List(nil) // so that «in» is false, rather than an error
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
		if u.Session.Expires.IsZero() { // an access key without expiry
			return ""
		}
		return u.Session.Expires.UTC().Format(time.RFC3339)
	}
	return ""
}

// printed is a claim's value that Caddy would format differently from what was
// sent: an object, a list of more than plain values, or a number such as 1.50. In
// expressions it is the map, list or double.
type printed struct {
	*structpb.Value
	text string
}

// String implements fmt.Stringer, for placeholders.
func (p printed) String() string { return p.text }

// typedValue returns a claim's value for a placeholder: typed, and formatted like
// in a header.
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
