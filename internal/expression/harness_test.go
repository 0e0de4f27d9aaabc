package expression

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// environment is like Caddy's. The request is its path, a placeholder's value is its
// name, and is_path is a matcher.
func environment(t testing.TB) *Environment {
	t.Helper()
	e, err := NewEnvironment([]cel.EnvOption{
		cel.Variable(caddyRequest, cel.StringType),
		cel.Function(caddyPlaceholder, cel.Overload("ph_request_string", []*cel.Type{cel.StringType, cel.StringType}, cel.AnyType,
			cel.BinaryBinding(func(_, name ref.Val) ref.Val { return name }))),
		cel.Function("is_path", cel.Overload("is_path_request_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(func(path, want ref.Val) ref.Val { return path.Equal(want) }))),
		ext.Strings(), ext.Bindings(), ext.Lists(), ext.Math(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// world is the source of the variables in tests.
type world struct {
	user  identity.User
	r     *http.Request
	early bool
}

var errEarly = errors.New("too early")

func (w *world) User() identity.User     { return w.user }
func (w *world) HTTP() *http.Request     { return w.r }
func (w *world) Value() (ref.Val, error) { return types.String(w.r.URL.Path), nil }
func (w *world) ClientIP() (string, error) {
	if w.early {
		return "", errEarly
	}
	return "192.0.2.7", nil
}

// userWith returns a user whose session has these claims, as JSON. The claims named in
// withheld could not be fetched.
func userWith(t testing.TB, object string, withheld ...string) identity.User {
	t.Helper()
	members := make(map[string]json.RawMessage)
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	if len(withheld) > 0 {
		members["\x01withheld"], _ = json.Marshal(withheld)
	}
	set, err := claims.Encode(members)
	if err != nil {
		t.Fatal(err)
	}
	return identity.User{
		Mapping: &identity.Mapping{Provider: "corp", Groups: "groups"},
		Session: &session.Session{Subject: "u-1", Username: "alice", Claims: set},
	}
}

func worldWith(t testing.TB, object string, withheld ...string) *world {
	t.Helper()
	r := httptest.NewRequest(http.MethodHead, "http://App.Example.:8443/admin/x?y=1", nil)
	r.Header = http.Header{"X-Team": {"red", "blue"}, "Accept": {"*/*"}}
	return &world{user: userWith(t, object, withheld...), r: r}
}
