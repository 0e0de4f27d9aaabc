package sessionstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestCreatedSessionLoads(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		s := n.session()
		value := n.create(s)
		l := n.load(value)
		if l == nil {
			t.Fatal("expected a session, seen none")
		}
		if l.Session.ID != s.ID {
			t.Fatalf("expected the session %x, seen %x", s.ID, l.Session.ID)
		}
		if l.Session.Username != "alice" {
			t.Fatalf("expected the session of alice, seen that of %q", l.Session.Username)
		}
		if l.InCookies() != (n.store == nil) {
			t.Errorf("InCookies is %v", l.InCookies())
		}
		if again := n.load(value); again != l {
			t.Errorf("expected the session of the cache, seen %+v", again)
		}
		if n.opened != 1 {
			t.Errorf("expected it to be opened once, seen %d times", n.opened)
		}
	})
}

func TestLoadRefusesWhatIsNoSession(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		value := n.create(n.session())
		for name, junk := range map[string]string{"nothing": "", "one character": "x", "a shorter value": value[:len(value)-1], "a longer value": value + "A"} {
			l, err := n.Load(t.Context(), n.ring, here, junk, n.now)
			if l != nil {
				t.Errorf("%s: expected no session, seen %+v", name, l)
			}
			if err != nil && !errors.Is(err, seal.ErrUnknownKey) {
				t.Errorf("%s: expected no error but %v, seen %v", name, seal.ErrUnknownKey, err)
			}
		}
		if l, err := n.Load(t.Context(), n.ring, here+"x", value, n.now); l != nil || err != nil {
			t.Errorf("at other additional data: loaded %v, %v", l, err)
		}
		if _, err := n.Load(t.Context(), newRing(t, "t"), here, value, n.now); !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("with other keys: got %v, want ErrUnknownKey", err)
		}
		if sessions, _ := n.cache.Stats(); sessions != 0 {
			t.Errorf("%d sessions are cached", sessions)
		}
	})
}

func TestLoadKnowsWhenSessionsExpire(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		after, seen time.Duration
		want        bool
	}{
		{"used within the idle timeout", testIdle - time.Second, 0, true},
		{"unused for the idle timeout", testIdle, 0, false},
		{"used, at the end of its lifetime", testLifetime - time.Second, testLifetime - time.Minute, true},
		{"used, after its lifetime", testLifetime, testLifetime - time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, n *node) {
				s := n.session()
				s.Seen = s.Seen.Add(tc.seen)
				s.Expires = s.Expires.Add(time.Hour) // the lifetime was longer when the session began
				value := n.create(s)
				n.now = n.now.Add(tc.after)
				if got := n.load(value) != nil; got != tc.want {
					t.Errorf("it loads: expected %v, seen %v", tc.want, got)
				}
			})
		})
	}
}

func TestRevokedSessionIsInvalid(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		value, other := n.create(n.session()), n.create(n.session())
		l := n.load(value)
		if valid, err := n.Valid(t.Context(), l); !valid || err != nil {
			t.Errorf("before: valid %v, %v", valid, err)
		}
		if err := n.Revoke(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if valid, err := n.Valid(t.Context(), l); valid || err != nil {
			t.Errorf("afterwards: valid %v, %v", valid, err)
		}
		if n.load(value) != nil {
			t.Error("a revoked session loads")
		}
		if n.load(other) == nil {
			t.Error("another session does not load")
		}
	})
}

func TestRevokedUserIsInvalid(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		s := n.session()
		s.Subject = t.Name() // all tests share the log
		value := n.create(s)
		l := n.load(value)
		n.now = n.now.Add(time.Second)
		if err := n.Revocations().Add(t.Context(), revocation.ForSubject(issuerOf(s), s.Subject, n.now, s.Expires)); err != nil {
			t.Fatal(err)
		}
		if valid, err := n.Valid(t.Context(), l); valid || err != nil {
			t.Errorf("valid %v, %v", valid, err)
		}
		if n.load(value) != nil {
			t.Error("it loads")
		}
	})
}

func TestUpdateKeepsTheNewestTokens(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		value := n.create(n.session())
		l := n.load(value)
		newer := l.Session
		newer.Grant = session.Grant{RefreshToken: "newer", Issued: n.now.Add(time.Minute)}
		chunks, err := n.Update(t.Context(), n.ring, here, l, &newer)
		if err != nil {
			t.Fatal(err)
		}
		if n.store == nil {
			value = chunks[0][1:]
		} else if len(chunks) != 0 {
			t.Errorf("%d cookies are set, want the ticket to stay", len(chunks))
		}
		older := l.Session
		older.Grant = session.Grant{RefreshToken: "older", Issued: n.now.Add(time.Second)}
		if _, err := n.Update(t.Context(), n.ring, here, l, &older); err != nil {
			t.Fatal(err)
		}
		got := n.load(value)
		if got == nil {
			t.Fatal("expected a session, seen none")
		}
		if got.Session.Grant.RefreshToken != "newer" {
			t.Errorf("expected the newer refresh token, seen %q", got.Session.Grant.RefreshToken)
		}
	})
}

func TestUpdateResurrectsNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, "records with revocations")
	value := n.create(n.session())
	l := n.load(value)
	if err := n.Revoke(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	newer := l.Session
	newer.Grant.Issued = n.now.Add(time.Minute)
	if _, err := n.Update(t.Context(), n.ring, here, l, &newer); !errors.Is(err, ErrRevoked) {
		t.Errorf("got %v, want ErrRevoked", err)
	}
	if n.load(value) != nil {
		t.Error("it loads")
	}
}

func TestUpdateIsDueAfterATenthOfTheIdleTimeout(t *testing.T) {
	t.Parallel()
	n := newNode(t, "cookies")
	s := n.session()
	for after, want := range map[time.Duration]bool{0: false, testIdle/10 - time.Second: false, testIdle / 10: true} {
		if got := n.UpdateDue(s, n.now.Add(after)); got != want {
			t.Errorf("after %s: expected %v, seen %v", after, want, got)
		}
	}
	never := cookieManager{base: newBase(Config{})}
	if never.UpdateDue(s, n.now.Add(testIdle)) {
		t.Error("due without an idle timeout")
	}
}

func TestCreateRefusesLargeSessions(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		s := n.session()
		s.AccessToken = incompressible(maxRecord)
		_, err := n.Create(t.Context(), n.ring, here, s)
		if large := new(*TooLargeError); !errors.As(err, large) {
			t.Fatalf("expected a TooLargeError, seen %v", err)
		}
		if !strings.HasPrefix(err.Error(), errTestTooLarge.Error()) {
			t.Errorf("expected the text of the Config, %q, seen %v", errTestTooLarge, err)
		}
		if n.store != nil && len(n.store.records) != 0 {
			t.Error("a record was saved")
		}
	})
}

func TestCookiesDropARefreshTokenThatDoesNotFit(t *testing.T) {
	t.Parallel()
	n := newNode(t, "cookies")
	s := n.session()
	s.Grant = session.Grant{RefreshToken: incompressible(5000), Issued: n.now}
	l := n.load(n.create(s))
	if l == nil {
		t.Fatal("expected a session, seen none")
	}
	if l.Session.Grant.RefreshToken != "" {
		t.Errorf("expected a session without its refresh token, seen %d bytes", len(l.Session.Grant.RefreshToken))
	}
	if n.dropped != 5000 {
		t.Errorf("expected that 5000 bytes were dropped, seen %d", n.dropped)
	}
}

// incompressible returns a text made of random keys.
func incompressible(size int) string {
	var text strings.Builder
	for text.Len() < size {
		secret := seal.NewRecordSecret()
		fmt.Fprintf(&text, "%x", secret[:])
	}
	return text.String()[:size]
}

func TestUnchangedStoreIsNotAsked(t *testing.T) {
	t.Parallel()
	n := newNode(t, "records with a version")
	value := n.create(n.session())
	n.load(value)
	before := n.store.loads
	for range 3 {
		n.load(value)
	}
	if got := n.store.loads - before; got != 0 {
		t.Errorf("it was asked %d times, want none", got)
	}
	n.create(n.session())
	before = n.store.loads
	n.load(value)
	if got := n.store.loads - before; got != 1 {
		t.Errorf("after a change it was asked %d times, want once", got)
	}
}

// A store that returns the wrong number of records is an error.
func TestMiscountingStoreIsAnError(t *testing.T) {
	t.Parallel()
	n := newNode(t, "records with revocations")
	value := n.create(n.session())
	l := n.load(value)
	n.store.extra = 1
	if _, err := n.Load(t.Context(), n.ring, here, value, n.now); !errors.Is(err, errRecords) {
		t.Errorf("Load: expected %v, seen %v", errRecords, err)
	}
	if _, err := n.Valid(t.Context(), l); !errors.Is(err, errRecords) {
		t.Errorf("Valid: expected %v, seen %v", errRecords, err)
	}
}

func TestManagersDoNotShareWhatTheyLoad(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		value := n.create(n.session())
		n.load(value)
		other := *n
		switch m := n.Manager.(type) {
		case *cookieManager:
			other.Manager = NewCookieManager(m.Config, m.Cookies)
		case *recordManager:
			other.Manager = NewRecordManager(m.Config, m.Records)
		}
		other.load(value)
		if sessions, _ := n.cache.Stats(); sessions != 2 {
			t.Errorf("%d sessions are cached, want one of each Manager", sessions)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if sessions, _ := n.cache.Stats(); sessions != 1 {
			t.Errorf("%d sessions are cached, want that of the other Manager", sessions)
		}
	})
}
