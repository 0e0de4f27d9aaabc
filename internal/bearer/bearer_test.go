package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

var start = time.Unix(1_800_000_000, 0)

// clock is a clock that tests advance.
type clock struct{ by atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.by.Load())) }
func (c *clock) advance(d time.Duration) { c.by.Add(int64(d)) }

func noRevocations(context.Context, *revocation.Target) (bool, error) { return false, nil }

func usersOf() Users {
	return Users{
		Mapping:  &identity.Mapping{Provider: "corp", Issuer: "https://op.example", Usernames: []string{"sub"}, Groups: "groups"},
		Needs:    func() *identity.Needs { return identity.Union(identity.Needs{KeepAll: true}) },
		Lifetime: func() time.Duration { return time.Hour },
	}
}

// answers has a provider's responses about tokens.
type answers struct {
	mu    sync.Mutex
	calls int
	hold  chan struct{}
	say   func(token string) (*op.AccessToken, error)
}

func (a *answers) ask(_ context.Context, token string) (*op.AccessToken, error) {
	a.mu.Lock()
	a.calls++
	hold, say := a.hold, a.say
	a.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return say(token)
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

func ofUser(name string, expires time.Time) (*op.AccessToken, error) {
	return &op.AccessToken{Claims: op.Claims{"sub": []byte(`"` + name + `"`)}, Expires: expires}, nil
}

func isRefusal(err error) bool {
	var refusal *program.Refusal
	return errors.As(err, &refusal)
}

func isUnavailable(err error) bool {
	var unavailable *program.UnavailableError
	return errors.As(err, &unavailable)
}

func TestWhatAProviderSaysIsRemembered(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		age     time.Duration
		expires time.Duration // after the first call; zero for never
		after   time.Duration
		calls   int
	}{
		{"at once", 30 * time.Second, 0, 0, 1},
		{"within its age", 30 * time.Second, 0, 29 * time.Second, 1},
		{"after its age", 30 * time.Second, 0, 30 * time.Second, 2},
		{"a shorter age", 5 * time.Second, 0, 5 * time.Second, 2},
		{"an age beyond the limit", time.Hour, 0, 30 * time.Second, 2},
		{"no age", 0, 0, 0, 2},
		{"until it expires", 30 * time.Second, 10 * time.Second, 9 * time.Second, 1},
		{"not after it expires", 30 * time.Second, 10 * time.Second, 10 * time.Second, 2},
	} {
		c := new(clock)
		var expires time.Time
		if tc.expires > 0 {
			expires = start.Add(tc.expires)
		}
		a := &answers{say: func(string) (*op.AccessToken, error) { return ofUser("u", expires) }}
		i := NewIntrospector(a.ask, usersOf(), tc.age, noRevocations, c.now)
		for range 2 {
			if _, err := i.Verify(t.Context(), "token"); err != nil {
				t.Errorf("%s: expected no error, seen %v", tc.name, err)
			}
			c.advance(tc.after)
			if tc.after == 0 {
				continue
			}
		}
		if a.count() != tc.calls {
			t.Errorf("%s: expected %d calls, seen %d", tc.name, tc.calls, a.count())
		}
	}
}

func TestBadTokensAreRememberedForAShortTime(t *testing.T) {
	t.Parallel()
	c := new(clock)
	a := &answers{say: func(string) (*op.AccessToken, error) {
		return nil, &op.TokenError{Reason: op.ReasonInactive, Err: errors.New("x")}
	}}
	i := NewIntrospector(a.ask, usersOf(), 30*time.Second, noRevocations, c.now)
	for _, after := range []time.Duration{0, 4 * time.Second, time.Second} {
		c.advance(after)
		if _, err := i.Verify(t.Context(), "token"); !isRefusal(err) {
			t.Errorf("expected a refusal, seen %v", err)
		}
	}
	if a.count() != 2 {
		t.Errorf("expected 2 calls, seen %d", a.count())
	}
}

func TestOutagesAreNotRemembered(t *testing.T) {
	t.Parallel()
	a := &answers{say: func(string) (*op.AccessToken, error) {
		return nil, &op.UnavailableError{Err: errors.New("down"), RetryAfter: 7 * time.Second}
	}}
	i := NewIntrospector(a.ask, usersOf(), 30*time.Second, noRevocations, new(clock).now)
	for range 3 {
		_, err := i.Verify(t.Context(), "token")
		var unavailable *program.UnavailableError
		if !errors.As(err, &unavailable) {
			t.Fatalf("expected that it is unknown, seen %v", err)
		}
		if unavailable.RetryAfter != 7*time.Second {
			t.Errorf("expected 7s, seen %v", unavailable.RetryAfter)
		}
	}
	if a.count() != 3 {
		t.Errorf("expected 3 calls, seen %d", a.count())
	}
}

func TestJunkDisplacesNoGoodToken(t *testing.T) {
	t.Parallel()
	a := &answers{say: func(token string) (*op.AccessToken, error) {
		if token == "good" {
			return ofUser("u", time.Time{})
		}
		return nil, &op.TokenError{Reason: op.ReasonInactive, Err: errors.New("x")}
	}}
	i := NewIntrospector(a.ask, usersOf(), 30*time.Second, noRevocations, new(clock).now)
	_, _ = i.Verify(t.Context(), "good")
	for n := range 3 * maxEntries {
		_, _ = i.Verify(t.Context(), "junk"+base64.RawURLEncoding.EncodeToString([]byte{byte(n), byte(n >> 8), byte(n >> 16)}))
	}
	before := a.count()
	if _, err := i.Verify(t.Context(), "good"); err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	if a.count() != before {
		t.Errorf("expected no further call, seen %d", a.count()-before)
	}
	if n := i.memory.bad.Len(); n > maxEntries {
		t.Errorf("expected at most %d entries, seen %d", maxEntries, n)
	}
}

func TestOneCallForManyRequests(t *testing.T) {
	t.Parallel()
	a := &answers{hold: make(chan struct{}), say: func(string) (*op.AccessToken, error) { return ofUser("u", time.Time{}) }}
	i := NewIntrospector(a.ask, usersOf(), 30*time.Second, noRevocations, new(clock).now)
	var all sync.WaitGroup
	var failed atomic.Int32
	for range 50 {
		all.Go(func() {
			if _, err := i.Verify(t.Context(), "token"); err != nil {
				failed.Add(1)
			}
		})
	}
	for a.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(a.hold)
	all.Wait()
	if failed.Load() != 0 {
		t.Errorf("expected no error, seen %d", failed.Load())
	}
	if a.count() != 1 {
		t.Errorf("expected 1 call, seen %d", a.count())
	}
}

// A caller that gives up does not end a call that others wait for.
func TestACallGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	a := &answers{hold: make(chan struct{}), say: func(string) (*op.AccessToken, error) { return ofUser("u", time.Time{}) }}
	i := NewIntrospector(a.ask, usersOf(), 30*time.Second, noRevocations, new(clock).now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.Verify(ctx, "token"); !isUnavailable(err) {
		t.Errorf("expected that it is unknown, seen %v", err)
	}
	close(a.hold)
	if _, err := i.Verify(t.Context(), "token"); err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	if a.count() != 1 {
		t.Errorf("expected 1 call, seen %d", a.count())
	}
}

func TestRevocationsAreAskedEachTime(t *testing.T) {
	t.Parallel()
	var revoked atomic.Bool
	var failing error
	i := NewIntrospector(func(context.Context, string) (*op.AccessToken, error) { return ofUser("u", time.Time{}) }, usersOf(), 30*time.Second,
		func(context.Context, *revocation.Target) (bool, error) { return revoked.Load(), failing }, new(clock).now)
	if _, err := i.Verify(t.Context(), "token"); err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	revoked.Store(true)
	if _, err := i.Verify(t.Context(), "token"); !isRefusal(err) {
		t.Errorf("expected a refusal, seen %v", err)
	}
	failing = errors.New("storage is down")
	if _, err := i.Verify(t.Context(), "token"); !isUnavailable(err) {
		t.Errorf("expected that it is unknown, seen %v", err)
	}
}

func TestFormsOfBearerTokens(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{
		"a": true, "AZaz09-._~+/": true, "a==": true, "": false, "=": false, "a=b": false, "a b": false, "a,b": false, "ä": false, "a\n": false, "\"a\"": false,
	} {
		if got := isB64Token(token); got != want {
			t.Errorf("%q: expected %v, seen %v", token, want, got)
		}
	}
}

func jwtOf(payload string) string {
	return "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// A token is recognized if any way to read it finds one of the configured issuers.
func TestRecognition(t *testing.T) {
	t.Parallel()
	issuer := func(name string) *Issuer {
		return &Issuer{Users: usersOf(), Tokens: &op.AccessTokens{Discovery: op.NewDiscovery(op.DiscoveryConfig{Issuer: name, KeysOnly: true, Now: time.Now, Timeout: time.Second})}}
	}
	j := NewJWTs([]*Issuer{issuer("https://op.example"), issuer("https://other.example")}, noRevocations, new(clock).now)
	for _, tc := range []struct {
		name, token string
		want        bool
	}{
		{"ours", jwtOf(`{"iss":"https://op.example"}`), true},
		{"the other one of ours", jwtOf(`{"sub":"x","iss":"https://other.example"}`), true},
		{"ours, unsigned", strings.TrimSuffix(jwtOf(`{"iss":"https://op.example"}`), "c2ln"), true},
		{"ours, second", jwtOf(`{"iss":"https://evil.example","iss":"https://op.example"}`), true},
		{"ours, first", jwtOf(`{"iss":"https://op.example","iss":"https://evil.example"}`), true},
		{"ours, in another case", jwtOf(`{"ISS":"https://op.example"}`), true},
		{"ours, in damaged JSON", jwtOf(`{"iss":"https://op.example","x":`), true},
		{"ours, with padding", "eyJhbGciOiJFUzI1NiJ9." + base64.URLEncoding.EncodeToString([]byte(`{"iss":"https://op.example" }`)) + ".c2ln", true},
		{"ours, in the header of an encrypted token", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM","iss":"https://op.example"}`)) + "....", true},
		{"another's", jwtOf(`{"iss":"https://evil.example"}`), false},
		{"with a slash", jwtOf(`{"iss":"https://op.example/"}`), false},
		{"a token without an issuer", jwtOf(`{"sub":"x"}`), false},
		{"a list", jwtOf(`["https://op.example"]`), false},
		{"no JSON", jwtOf(`iss`), false},
		{"two parts", "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://op.example"}`)), false},
		{"opaque", "opaque", false},
		{"empty", "", false},
		{"dots", "..", false},
		{"too long to look into", jwtOf(`{"x":"` + strings.Repeat("x", maxLook) + `"}`), true},
	} {
		if got := j.Recognizes(tc.token); got != tc.want {
			t.Errorf("%s: expected %v, seen %v", tc.name, tc.want, got)
		}
	}
}

func TestSessionsOfTokens(t *testing.T) {
	t.Parallel()
	users := usersOf()
	token := &op.AccessToken{Claims: op.Claims{"sub": []byte(`"u"`), "sid": []byte(`"s"`), "acr": []byte(`"gold"`)}, Issued: start, Expires: start.Add(time.Minute), Scopes: []string{"read"}}
	e, err := users.accept(key{}, "raw", token, start)
	if err != nil {
		t.Fatal(err)
	}
	if s := e.loaded.Session; s.Username != "u" || s.SID != "s" || s.ACR != "gold" || !s.Expires.Equal(token.Expires) || s.Kind != session.Person {
		t.Errorf("expected what the token says, seen %+v", s)
	}
	if e.loaded.Session.AccessToken != "" {
		t.Error("expected that a token that no application receives is not kept")
	}
	for name, claims := range map[string]op.Claims{
		"a sid that is no text": {"sub": []byte(`"u"`), "sid": []byte(`1`)},
		"no name":               {},
	} {
		if _, err := users.accept(key{}, "raw", &op.AccessToken{Claims: claims, Expires: start}, start); !isRefusal(err) {
			t.Errorf("%s: expected a refusal, seen %v", name, err)
		}
	}
	users.Disabled = true
	if _, err := users.accept(key{}, "raw", token, start); !isRefusal(err) {
		t.Errorf("expected that a disabled provider's token is refused, seen %v", err)
	}
}

// BenchmarkRemembered measures a request with a token that was checked before.
func BenchmarkRemembered(b *testing.B) {
	tokens := &op.AccessTokens{Discovery: op.NewDiscovery(op.DiscoveryConfig{Issuer: "https://op.example", KeysOnly: true, Now: time.Now, Timeout: time.Second})}
	j := NewJWTs([]*Issuer{{Users: usersOf(), Tokens: tokens}}, noRevocations, time.Now)
	token := jwtOf(`{"iss":"https://op.example","x":"` + strings.Repeat("x", 700) + `"}`)
	now := time.Now()
	k := j.memory.keyOf(token)
	users := usersOf()
	checked, _ := ofUser("u", now.Add(time.Hour))
	e, err := users.accept(k, token, checked, now)
	if err != nil {
		b.Fatal(err)
	}
	e.until = now.Add(time.Hour)
	j.memory.put(&k, e, now)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if !j.Recognizes(token) {
			b.Fatal("expected that it is recognized")
		}
		if _, err := j.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}
