package assertion

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// source is a ring that a test can replace.
type source struct {
	ring *seal.Ring
	err  error
}

func (s *source) Ring(context.Context) (*seal.Ring, error)    { return s.ring, s.err }
func (s *source) Renewed(context.Context) (*seal.Ring, error) { return s.ring, s.err }

func ringOf(t *testing.T, secrets ...string) *seal.Ring {
	t.Helper()
	var all [][]byte
	for _, secret := range secrets {
		all = append(all, bytes.Repeat([]byte(secret), seal.MinSecret))
	}
	ring, err := seal.NewRing(all...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

var statement = Statement{
	Issuer: "https://a.test/@app/auth", Audience: "wiki", Subject: "alice", Kind: "person",
	IssuedAt: time.Unix(1000, 0), Expires: time.Unix(1060, 0),
	Claims: map[string]json.RawMessage{"groups": json.RawMessage(`["a"]`), "iss": json.RawMessage(`"evil"`)},
}

func verified(t *testing.T, text string, keys jose.JSONWebKeySet) (claims map[string]any) {
	t.Helper()
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Claims(keys, &claims); err != nil {
		t.Fatal(err)
	}
	if typ := token.Headers[0].ExtraHeaders[jose.HeaderType]; typ != Type {
		t.Errorf("expected the type %s, seen %v", Type, typ)
	}
	return claims
}

func TestAStatementSaysWhatItIsMadeOf(t *testing.T) {
	t.Parallel()
	keys := NewKeys(&source{ring: ringOf(t, "a")})
	text, err := keys.Sign(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	published, err := keys.Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claims := verified(t, text, published)
	for name, want := range map[string]any{
		"iss": "https://a.test/@app/auth", "aud": "wiki", "sub": "alice", "kind": "person", "iat": 1000.0, "exp": 1060.0,
	} {
		if claims[name] != want {
			t.Errorf("%s: expected %v, seen %v", name, want, claims[name])
		}
	}
	if groups, ok := claims["groups"].([]any); !ok || len(groups) != 1 || groups[0] != "a" {
		t.Errorf("groups: expected a, seen %v", claims["groups"])
	}
	again, err := keys.Sign(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := verified(t, again, published)["jti"].(string); id == claims["jti"] || id == "" {
		t.Errorf("jti: expected another one, seen %q", id)
	}
}

func TestNodesWithOneRingHaveTheSameKeys(t *testing.T) {
	t.Parallel()
	own := &source{ring: ringOf(t, "a")}
	one, other := NewKeys(own), NewKeys(&source{ring: ringOf(t, "b", "a")})
	text, err := one.Sign(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	published, err := other.Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(published.Keys) != 2 || published.Keys[0].KeyID == published.Keys[1].KeyID {
		t.Fatalf("expected two keys, seen %v", published.Keys)
	}
	verified(t, text, published)
	for _, key := range published.Keys {
		if !key.IsPublic() {
			t.Error("expected public keys alone")
		}
	}
	own.ring = ringOf(t, "b", "a")
	if text, err = one.Sign(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if kid := must(jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})).Signatures[0].Header.KeyID; kid != published.Keys[0].KeyID {
		t.Errorf("after a rotation: expected the first key to sign, seen %s", kid)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestWithoutKeysThereIsNoStatement(t *testing.T) {
	t.Parallel()
	down := errors.New("the storage is down")
	keys := NewKeys(&source{err: down})
	if text, err := keys.Sign(t.Context(), statement); text != "" || !errors.Is(err, down) {
		t.Errorf("expected %v, seen %q, %v", down, text, err)
	}
	if _, err := keys.Published(t.Context()); !errors.Is(err, down) {
		t.Errorf("expected %v, seen %v", down, err)
	}
}

// The key pair of a seed never changes, since nodes of different releases share it.
func TestKeysOfASeedStayTheSame(t *testing.T) {
	t.Parallel()
	published, err := NewKeys(&source{ring: ringOf(t, "a")}).Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const want = "gT8ud6fsC0tugpGMyO57bfgAVq5ptOChI-Jykn9xFxM"
	if got := published.Keys[0].KeyID; got != want {
		t.Errorf("expected the key %s, seen %s", want, got)
	}
	for _, seed := range []string{strings.Repeat("\x00", seedSize), strings.Repeat("\xff", seedSize)} {
		if _, err := keyOf([]byte(seed)); err != nil {
			t.Errorf("a seed at the border: %v", err)
		}
	}
}
