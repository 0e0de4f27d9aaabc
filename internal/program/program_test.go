package program

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// prefixed recognizes tokens by their prefix, and accepts all of them.
type prefixed struct{ prefix, name string }

func (p prefixed) Recognizes(token string) bool { return strings.HasPrefix(token, p.prefix) }

func (p prefixed) Kind() Kind { return JWT }

func (p prefixed) Verify(context.Context, string) (*sessionstore.Loaded, error) {
	return &sessionstore.Loaded{Session: session.Session{Username: p.name}}, nil
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestWhatIsRecognized(t *testing.T) {
	t.Parallel()
	keys := Accepted{Keys: prefixed{KeyPrefix, "ci"}, Headers: []string{"X-Api-Key", "Private-Token"}}
	all := keys
	all.Basic, all.Bearers = true, []Verifier{prefixed{"ey", "jwt"}, prefixed{"", "opaque"}}
	tokens := Accepted{Bearers: []Verifier{prefixed{"ey", "jwt"}}}
	const refused, several = "refused", "several"
	for _, row := range []struct {
		name     string
		accepted Accepted
		lines    []string
		scheme   Scheme
		expected string // a username, refused, several, or nothing
	}{
		{"nothing", all, nil, None, ""},
		{"a key", keys, []string{"Authorization: Bearer orp_x"}, Bearer, "ci"},
		{"a key in another case of the scheme", keys, []string{"Authorization: bEARER orp_x"}, Bearer, "ci"},
		{"a key after more spaces", keys, []string{"Authorization: Bearer  \torp_x "}, Bearer, "ci"},
		{"a token for the application", keys, []string{"Authorization: Bearer abc"}, None, ""},
		{"a key in another case", keys, []string{"Authorization: Bearer ORP_x"}, None, ""},
		{"no token", keys, []string{"Authorization: Bearer"}, None, ""},
		{"an empty line", all, []string{"Authorization: "}, None, ""},
		{"Digest", all, []string{"Authorization: Digest orp_x"}, None, ""},
		{"a bare key", keys, []string{"Authorization: orp_x"}, None, ""},
		{"Basic of the application", keys, []string{"Authorization: " + basic("ci:orp_x")}, None, ""},
		{"Basic", all, []string{"Authorization: " + basic("ci:orp_x")}, Basic, "ci"},
		{"Basic without padding", all, []string{"Authorization: " + strings.TrimRight(basic("ci:orp_x"), "=")}, Basic, "ci"},
		{"Basic with another user", all, []string{"Authorization: " + basic("cd:orp_x")}, Basic, refused},
		{"Basic without a user", all, []string{"Authorization: " + basic(":orp_x")}, Basic, refused},
		{"Basic with a key as the user", all, []string{"Authorization: " + basic("orp_x:")}, Basic, refused},
		{"Basic with a password", all, []string{"Authorization: " + basic("ci:hunter2")}, Basic, refused},
		{"Basic with a token", all, []string{"Authorization: " + basic("jwt:ey")}, Basic, refused},
		{"Basic that is none", all, []string{"Authorization: Basic ???"}, Basic, refused},
		{"Basic that is empty", all, []string{"Authorization: Basic"}, Basic, refused},
		{"Basic that is very long", all, []string{"Authorization: " + basic("ci:orp_"+strings.Repeat("x", 10_000))}, Basic, refused},
		{"a token", all, []string{"Authorization: Bearer eyx"}, Bearer, "jwt"},
		{"a token for the second verifier", all, []string{"Authorization: Bearer abc"}, Bearer, "opaque"},
		{"a key where none is accepted", tokens, []string{"Authorization: Bearer orp_x"}, None, ""},
		{"a key in a header", keys, []string{"X-Api-Key: orp_x"}, Header, "ci"},
		{"a key in another header", keys, []string{"Private-Token: \torp_x "}, Header, "ci"},
		{"something in a header", keys, []string{"X-Api-Key: abc"}, Header, refused},
		{"nothing in a header", keys, []string{"X-Api-Key: "}, Header, refused},
		{"a header that is not named", keys, []string{"X-Key: orp_x"}, None, ""},
		{"a header in another spelling", keys, []string{"X_Api-Key: orp_x"}, None, ""},
		{"a key beside what is the application's", keys, []string{"X-Api-Key: orp_x", "Authorization: Bearer abc"}, Header, "ci"},
		{"two lines of a header", keys, []string{"X-Api-Key: orp_x", "X-Api-Key: orp_x"}, Header, several},
		{"two headers", keys, []string{"X-Api-Key: orp_x", "Private-Token: orp_x"}, Header, several},
		{"a header and a key", keys, []string{"X-Api-Key: orp_x", "Authorization: Bearer orp_x"}, Bearer, several},
		{"a header and a token", all, []string{"X-Api-Key: orp_x", "Authorization: Bearer eyx"}, Bearer, several},
		{"two keys", keys, []string{"Authorization: Bearer orp_x", "Authorization: Bearer orp_x"}, Bearer, several},
		{"a key and another line", keys, []string{"Authorization: Bearer orp_x", "Authorization: Digest x"}, Bearer, several},
		{"another line and a key", keys, []string{"Authorization: Digest x", "Authorization: Bearer orp_x"}, Bearer, several},
		{"two lines of the application", keys, []string{"Authorization: Digest x", "Authorization: Bearer abc"}, None, ""},
		{"a list of keys", keys, []string{"Authorization: Bearer orp_x, Bearer orp_y"}, Bearer, "ci"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			sent := header(row.lines...)
			lines := LinesOf(sent, append([]string{"X-Other"}, row.accepted.Headers...))
			clear(sent) // lines must not depend on it
			c, err := row.accepted.Find(lines)
			if c.Scheme != row.scheme {
				t.Errorf("expected the scheme %d, seen %d", row.scheme, c.Scheme)
			}
			if (row.expected == several) != errors.Is(err, ErrSeveral) {
				t.Errorf("expected %q, seen the error %v", row.expected, err)
			}
			if err != nil || c.Scheme == None {
				return
			}
			l, err := c.Verify(t.Context())
			var refusal *Refusal
			if (row.expected == refused) != errors.As(err, &refusal) {
				t.Errorf("expected %q, seen the error %v", row.expected, err)
			}
			if err == nil && l.Session.Username != row.expected {
				t.Errorf("expected the session of %q, seen that of %q", row.expected, l.Session.Username)
			}
		})
	}
}

// What looks like a key counts as one, wherever a client has put it.
func TestLinesThatHoldAKey(t *testing.T) {
	t.Parallel()
	for line, expected := range map[string]bool{
		"Bearer orp_x": true, "bearer\torp_x": true, "orp_x": true, "  orp_x": true, "Token orp_x": true, `Token token="orp_x"`: true, "ApiKey a=b,orp_x": true, "Bearer abc, Bearer orp_x": true,
		basic("ci:orp_x"): true, basic("orp_x:"): true, basic(strings.Repeat("x", 10_000) + ":orp_x"): true, basic("orp_x:x-oauth-basic"): true, strings.TrimRight(basic("ci:orp_x"), "="): true,
		"": false, "Bearer": false, "Bearer abc": false, "Bearer abcorp_x": false, "Bearer ORP_x": false, "Digest username=\"corp_x\"": false,
		basic("ci:hunter2"): false, basic("ci:corp_x"): false, basic("corp_x"): false, "Basic ???": false, "Basic": false,
	} {
		if seen := HoldsKey(line); seen != expected {
			t.Errorf("%q: expected %t, seen %t", line, expected, seen)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"", "Bearer orp_x", basic("ci:orp_x"), "Basic", "Digest a=b", "Bearer \x00"} {
		f.Add(seed, seed)
	}
	accepted := Accepted{Keys: prefixed{KeyPrefix, "ci"}, Headers: []string{"X-Api-Key"}, Basic: true, Bearers: []Verifier{prefixed{"ey", "jwt"}}}
	f.Fuzz(func(t *testing.T, one, other string) {
		single, double := Lines{Authorization: []string{one}}, Lines{Authorization: []string{one, other}}
		c, err := accepted.Find(&single)
		if err != nil {
			t.Errorf("%q: expected one credential, seen %v", one, err)
		}
		if _, err := accepted.Find(&double); c.Scheme != None && !errors.Is(err, ErrSeveral) {
			t.Errorf("%q and %q: expected ErrSeveral, seen %v", one, other, err)
		}
		if c.Scheme == Bearer && c.verifier == accepted.Keys && !HoldsKey(one) {
			t.Errorf("%q: expected a line that holds a key", one)
		}
	})
}
