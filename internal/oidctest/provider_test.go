package oidctest

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTransports makes an honest login over each kind of transport.
func TestTransports(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]Option{
		"http":   nil,
		"https":  {TLS()},
		"http2":  {HTTP2()},
		"memory": {InMemory()},
		"named":  {TLS(), Host("idp-a.test"), Path("/t/")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := New(t, opts...)
			rp := newReference(p)
			for _, user := range []string{"alice", "bob"} {
				p.SignIn(user)
				if sub, err := rp.login(); err != nil || sub != p.User(user).Subject {
					t.Errorf("%s is %q: %v", user, sub, err)
				}
			}
			for _, endpoint := range []Endpoint{Token, Discovery} {
				if got := p.Hits(endpoint); got != 2 {
					t.Errorf("%v: expected two hits, seen %d", endpoint, got)
				}
			}
			if got := p.Last(Token).Form.Get("grant_type"); got != "authorization_code" {
				t.Errorf("expected the grant authorization_code, seen %q", got)
			}
			p.Lie(func(l *Faults) { l.At(UserInfo).Reset = true })
			if _, err := rp.login(); err == nil {
				t.Error("a reset went unseen")
			}
			p.Lie(func(l *Faults) { *l.At(UserInfo) = Fault{Cut: true, CutAfter: 5} })
			if _, err := rp.login(); err == nil {
				t.Error("a cut went unseen")
			}
		})
	}
}

func TestHTTP2IsSpoken(t *testing.T) {
	t.Parallel()
	p := New(t, HTTP2())
	resp, err := p.HTTPClient().Get(p.URL(Discovery))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Error(resp.Proto)
	}
}

// TestKeyrings checks that two providers in one test have different keys.
func TestKeyrings(t *testing.T) {
	t.Parallel()
	a, b := New(t), New(t)
	if bytes.Equal(a.KeySet(), b.KeySet()) {
		t.Error("they have")
	}
}

// TestRotation rotates keys, with a relying party that caches nothing. The login fails only
// if the signing key is not published.
func TestRotation(t *testing.T) {
	t.Parallel()
	p := New(t)
	rp := newReference(p)
	for i, step := range []struct {
		signing   int
		published []int
		good      bool
	}{
		{0, []int{0}, true}, {0, []int{0, 1}, true}, {1, []int{0, 1}, true}, {1, []int{1}, true},
		{2, []int{1}, false}, {2, []int{2}, true},
	} {
		p.SetKeys(step.signing, step.published...)
		if _, err := rp.login(); (err == nil) != step.good {
			t.Errorf("step %d: %v", i, err)
		}
	}
	p.SetKeys(0, 0)
	p.RotateKeys()
	if _, err := rp.login(); err != nil {
		t.Error(err)
	}
	keys := string(p.KeySet())
	if !strings.Contains(keys, "rsa.1") {
		t.Errorf("expected the new key rsa.1, seen %s", keys)
	}
	if strings.Contains(keys, "rsa.0") {
		t.Errorf("expected the old key rsa.0 to be gone, seen %s", keys)
	}
}

// TestCanaries checks that Canaries covers all secrets of a login.
func TestCanaries(t *testing.T) {
	t.Parallel()
	p := New(t, RefreshTokens())
	if _, err := newReference(p).login(); err != nil {
		t.Fatal(err)
	}
	all := p.Canaries()
	got, form := p.Issued(), p.Last(Token).Form
	for _, secret := range []string{
		got.Code, got.AccessToken, got.RefreshToken, got.IDToken, got.State, got.Nonce,
		form.Get("code_verifier"), p.Client().Secret,
	} {
		if !slices.ContainsFunc(all, func(c string) bool { return strings.Contains(secret, c) }) {
			t.Errorf("%q has no canary", secret)
		}
	}
}

// TestRace changes all that can be changed while logins are in progress.
func TestRace(t *testing.T) {
	t.Parallel()
	p := New(t, Lenient())
	p.Register(testRedirect)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			rp := &reference{p: p, http: p.HTTPClient()}
			for range 5 {
				_, _ = rp.login()
				p.Lie(func(l *Faults) { l.Skew = time.Duration(i) * time.Second; l.At(Token).Status = 200 })
				p.SignIn("bob")
				p.RotateKeys()
				p.SetClient(func(c *Client) { c.OldSecrets = []string{"x"} })
				p.SetUser("dave", User{Subject: "d"})
				_, _, _, _ = p.Canaries(), p.Violations(), p.Last(Authorize), p.Issued()
				p.Honest()
			}
		})
	}
	wg.Wait()
}

func BenchmarkLogin(b *testing.B) {
	p := New(b, InMemory(), Unrecorded(), Alg("ES256"))
	rp := newReference(p)
	for b.Loop() {
		if _, err := rp.login(); err != nil {
			b.Fatal(err)
		}
	}
}
