package sso_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const cookieName = "__Host-oidc_idp_session"

// applications record their notifications.
type applications struct {
	mu       sync.Mutex
	notified []store.Delivery
}

func (*applications) Receives(clientID string) bool { return clientID != "deaf" }
func (*applications) Builtin() []string             { return []string{"site"} }

func (a *applications) Notify(_ context.Context, deliveries []store.Delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notified = append(a.notified, deliveries...)
}

// heard returns the client and the session of each notification, in sorted order.
func (a *applications) heard() (all []string) {
	for _, d := range a.notified {
		all = append(all, d.ClientID+" "+d.SID)
	}
	slices.Sort(all)
	return all
}

type harness struct {
	*sso.Manager
	t      testing.TB
	db     *database.DB
	apps   applications
	limits sso.Limits
	now    time.Time
}

func newHarness(t testing.TB) *harness {
	h := &harness{t: t, db: databasetest.New(t), limits: sso.Limits{Lifetime: 12 * time.Hour}, now: time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)}
	h.Manager = sso.New(sso.Options{
		Store: h.db, Applications: &h.apps, Logger: slog.New(slog.DiscardHandler),
		Limits:  func(*store.User) sso.Limits { return h.limits },
		Address: func(r *http.Request) string { return r.RemoteAddr },
		Now:     func() time.Time { return h.now },
	})
	h.put(&store.User{ID: "ada", Kind: store.Person, Name: "ada"})
	h.put(&store.User{ID: "bob", Kind: store.Person, Name: "bob"})
	return h
}

func (h *harness) update(change func(store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), change); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) put(u *store.User) {
	h.t.Helper()
	h.update(func(tx store.Tx) error { return tx.PutUser(u) })
}

func visit(secrets ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://login.example.com/", nil)
	for _, secret := range secrets {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: secret})
	}
	return r
}

// start starts a session and returns it with the secret in the cookie.
func (h *harness) start(user string, former ...string) (*store.Session, string) {
	h.t.Helper()
	w := httptest.NewRecorder()
	session, err := h.Start(w, visit(former...), sso.Authentication{User: &store.User{ID: user}, Time: h.now, AMR: []string{"pwd"}, ACR: "one"})
	if err != nil {
		h.t.Fatalf("start: %v", err)
	}
	set := w.Result().Cookies()
	if len(set) != 1 {
		h.t.Fatalf("expected one cookie, seen %v", set)
	}
	return session, set[0].Value
}

// current returns the sid of a browser's session, or "" if it has none.
func (h *harness) current(secrets ...string) string {
	h.t.Helper()
	session, user, err := h.Current(visit(secrets...))
	if err != nil {
		h.t.Fatalf("current: %v", err)
	}
	if (session == nil) != (user == nil) {
		h.t.Fatalf("expected a session with its user, seen %v and %v", session, user)
	}
	if session == nil {
		return ""
	}
	return session.SID
}

func TestACookieIsForThisHostAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	w := httptest.NewRecorder()
	if _, err := h.Start(w, visit(), sso.Authentication{User: &store.User{ID: "ada"}, Time: h.now}); err != nil {
		t.Fatal(err)
	}
	got := w.Result().Cookies()[0]
	if got.Name != cookieName || got.Path != "/" || got.Domain != "" || !got.Secure || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode {
		t.Errorf("expected a __Host- cookie, seen %+v", got)
	}
	err := h.db.View(t.Context(), func(tx store.Tx) error {
		session, err := tx.SessionByCookie(store.HashOf(got.Value), h.now)
		if err == nil && strings.Contains(session.SID, got.Value) {
			t.Errorf("expected the secret nowhere else, seen it in the sid")
		}
		return err
	})
	if err != nil {
		t.Errorf("expected the hash of the secret in the database, seen %v", err)
	}
}

func TestCookiesOnLoopbackHaveNoPrefix(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	m := sso.New(sso.Options{
		Store: h.db, Applications: &h.apps, Cookies: request.Cookies{Insecure: true}, Now: func() time.Time { return h.now },
		Limits: func(*store.User) sso.Limits { return h.limits },
	})
	w := httptest.NewRecorder()
	if _, err := m.Start(w, visit(), sso.Authentication{User: &store.User{ID: "ada"}, Time: h.now}); err != nil {
		t.Fatal(err)
	}
	if got := w.Result().Cookies()[0]; got.Name != "oidc_idp_session" || got.Secure {
		t.Errorf("expected a cookie that plain HTTP takes, seen %+v", got)
	}
}

// A step-up replaces the secret in the cookie. For applications, the session stays the
// same.
func TestEachStepUpGivesANewSecret(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, one := h.start("ada")
	h.now = h.now.Add(time.Hour)
	second, two := h.start("ada", one)
	if one == two || second.SID != first.SID || !second.Created.Equal(first.Created) {
		t.Errorf("expected the same session with another secret, seen %+v and %+v", first, second)
	}
	if !second.AuthTime.Equal(h.now) || !second.Expires.Equal(h.now.Add(12*time.Hour)) {
		t.Errorf("expected a fresh authentication, seen %+v", second)
	}
	if got := h.current(one); got != "" {
		t.Errorf("expected the old secret to be worth nothing, seen %q", got)
	}
	if got := h.current(two); got != first.SID {
		t.Errorf("expected the session by the new secret, seen %q", got)
	}
	if len(h.apps.notified) != 0 {
		t.Errorf("expected no session to end, seen %v", h.apps.notified)
	}
}

// A planted cookie is replaced by a new secret, which the attacker does not know.
func TestAPlantedCookieIsNotTakenOver(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	_, secret := h.start("ada", "planted")
	if got := h.current("planted"); got != "" || secret == "planted" {
		t.Errorf("expected a secret of our own, seen %q", got)
	}
	if got := h.current(secret, "planted"); got != "" {
		t.Errorf("expected two cookies of one name to count for nothing, seen %q", got)
	}
}

func TestTheSessionOfAnotherUserEnds(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, one := h.start("ada")
	h.update(func(tx store.Tx) error {
		if err := tx.AddSessionClient(first.SID, "wiki"); err != nil {
			return err
		}
		return tx.AddSessionClient(first.SID, "deaf")
	})
	second, two := h.start("bob", one)
	if second.SID == first.SID || h.current(one) != "" || h.current(two) != second.SID {
		t.Errorf("expected a session of bob's own, seen %+v", second)
	}
	if got := h.apps.heard(); !slices.Equal(got, []string{"wiki " + first.SID}) {
		t.Errorf("expected the applications of the first session to hear of it, seen %v", got)
	}
}

func TestSessionsEndByTime(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		limits sso.Limits
		ends   time.Duration // end of the authentication; zero if it has none
		lives  time.Duration
	}{
		"by the lifetime":             {sso.Limits{Lifetime: 2 * time.Hour}, 0, 2 * time.Hour},
		"by the external provider":    {sso.Limits{Lifetime: 2 * time.Hour}, time.Hour, time.Hour},
		"by a later external session": {sso.Limits{Lifetime: 2 * time.Hour}, 3 * time.Hour, 2 * time.Hour},
	} {
		h := newHarness(t)
		h.limits = row.limits
		a := sso.Authentication{User: &store.User{ID: "ada"}, Time: h.now}
		if row.ends > 0 {
			a.Expires = h.now.Add(row.ends)
		}
		w := httptest.NewRecorder()
		if _, err := h.Start(w, visit(), a); err != nil {
			t.Fatal(err)
		}
		secret, begun := w.Result().Cookies()[0].Value, h.now
		h.now = begun.Add(row.lives - time.Second)
		if h.current(secret) == "" {
			t.Errorf("%s: expected the session to live for %v", name, row.lives)
		}
		h.now = begun.Add(row.lives)
		if h.current(secret) != "" {
			t.Errorf("%s: expected the session to be over after %v", name, row.lives)
		}
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.limits.Idle = 30 * time.Minute
	_, secret := h.start("ada")
	for range 4 {
		h.now = h.now.Add(30*time.Minute - time.Second)
		if h.current(secret) == "" {
			t.Fatalf("expected the session to live while it is used")
		}
	}
	h.now = h.now.Add(30 * time.Minute)
	if h.current(secret) != "" {
		t.Errorf("expected an idle session to be over")
	}
	if sessions, err := h.List(t.Context(), "ada"); err != nil || len(sessions) != 0 {
		t.Errorf("expected it not to be listed, seen %v %v", sessions, err)
	}
}

func TestUseIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	_, secret := h.start("ada")
	for _, row := range []struct {
		after time.Duration
		want  string
	}{{59 * time.Second, "12:00:30"}, {time.Second, "12:01:30"}, {10 * time.Minute, "12:11:30"}} {
		h.now = h.now.Add(row.after)
		h.current(secret)
		sessions, err := h.List(t.Context(), "ada")
		if err != nil || len(sessions) != 1 {
			t.Fatalf("expected one session, seen %v %v", sessions, err)
		}
		if got := sessions[0].LastSeen.Format(time.TimeOnly); got != row.want {
			t.Errorf("expected %s, seen %s", row.want, got)
		}
	}
}

func TestUsersWhoAreGoneHaveNoSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	_, secret := h.start("ada")
	for name, user := range map[string]*store.User{
		"locked":  {ID: "ada", Kind: store.Person, Name: "ada", Locked: true},
		"removed": {ID: "ada", Kind: store.Person, Name: "ada", Removed: h.now},
	} {
		h.put(user)
		if h.current(secret) != "" {
			t.Errorf("%s: expected no session", name)
		}
		_, err := h.Start(httptest.NewRecorder(), visit(), sso.Authentication{User: &store.User{ID: "ada"}, Time: h.now})
		if !errors.Is(err, sso.ErrUserGone) {
			t.Errorf("%s: expected no new session, seen %v", name, err)
		}
	}
}

func TestEndAllLeavesOne(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	kept, one := h.start("ada")
	gone, two := h.start("ada")
	others, three := h.start("bob")
	grant := func(id, user, sid string) store.Grant {
		return store.Grant{ID: id, ClientID: "wiki", UserID: user, SID: sid, Refresh: store.HashOf(id), Created: h.now, Expires: h.now.Add(time.Hour)}
	}
	h.update(func(tx store.Tx) error {
		for _, g := range []store.Grant{grant("kept", "ada", kept.SID), grant("gone", "ada", gone.SID), grant("older", "ada", "a session from before"), grant("bob's", "bob", others.SID)} {
			if err := tx.PutGrant(g); err != nil {
				return err
			}
		}
		return tx.AddSessionClient(gone.SID, "wiki")
	})
	if err := h.EndAll(t.Context(), "ada", kept.SID); err != nil {
		t.Fatal(err)
	}
	if h.current(one) == "" || h.current(two) != "" || h.current(three) == "" {
		t.Errorf("expected all other sessions of ada to be over")
	}
	if got := h.revoked(); !slices.Equal(got, []string{"gone", "older"}) {
		t.Errorf("expected their grants to be revoked, seen %v", got)
	}
	if got := h.apps.heard(); !slices.Equal(got, []string{"wiki " + gone.SID}) {
		t.Errorf("expected the applications to hear of that session, seen %v", got)
	}
	if err := h.EndAll(t.Context(), "ada", ""); err != nil {
		t.Fatal(err)
	}
	if h.current(one) != "" || h.current(three) == "" {
		t.Errorf("expected all sessions of ada to be over")
	}
	if got := h.revoked(); !slices.Equal(got, []string{"gone", "kept", "older"}) {
		t.Errorf("expected all grants of ada to be revoked, seen %v", got)
	}
	if got := h.apps.heard(); !slices.Contains(got, "site ") {
		t.Errorf("expected the applications in this Caddy to hear of the user, seen %v", got)
	}
}

// revoked returns the ids of the revoked grants.
func (h *harness) revoked() (ids []string) {
	h.t.Helper()
	err := h.db.View(h.t.Context(), func(tx store.Tx) error {
		for _, id := range []string{"bob's", "gone", "kept", "older"} {
			grant, err := tx.Grant(id)
			if err != nil {
				return err
			}
			if !grant.Revoked.IsZero() {
				ids = append(ids, id)
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return ids
}

func TestEndOfEndsTheUsersOwn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	session, secret := h.start("ada")
	if err := h.EndOf(t.Context(), "bob", session.SID); !errors.Is(err, store.ErrNotFound) || h.current(secret) == "" {
		t.Errorf("expected another user's session to stay, seen %v", err)
	}
	if err := h.EndOf(t.Context(), "ada", session.SID); err != nil || h.current(secret) != "" {
		t.Errorf("expected the session to be over, seen %v", err)
	}
	if err := h.End(t.Context(), session.SID); err != nil {
		t.Errorf("expected no error for a session that is over, seen %v", err)
	}
}

// If many requests end a session at once, applications are notified once.
func TestOneOfManyEndsNotifies(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	session, _ := h.start("ada")
	h.update(func(tx store.Tx) error { return tx.AddSessionClient(session.SID, "wiki") })
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := h.End(t.Context(), session.SID); err != nil {
				t.Errorf("end: %v", err)
			}
		})
	}
	all.Wait()
	if got := h.apps.heard(); len(got) != 1 {
		t.Errorf("expected one notice, seen %v", got)
	}
}

func TestFormTokensBelongToTheirSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	one, two := h.FormToken(visit("secret-one"), "x"), h.FormToken(visit("secret-two"), "x")
	if one == "" || one == two || one == h.FormToken(visit("secret-one"), "y") || h.FormToken(visit(), "x") != "" {
		t.Errorf("expected a token for each session and purpose, seen %q and %q", one, two)
	}
	if strings.Contains(one, "secret") {
		t.Errorf("expected the token to hide the secret, seen %q", one)
	}
}

func TestWhatIsShownOfASession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := visit()
	r.Header.Set("User-Agent", "Browser\x1b[31m"+strings.Repeat("x", 1000))
	r.RemoteAddr = "192.0.2.1"
	session, err := h.Start(httptest.NewRecorder(), r, sso.Authentication{User: &store.User{ID: "ada"}, Time: h.now, AMR: []string{"pwd", "otp"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(session.UserAgent) > 256 || strings.Contains(session.UserAgent, "\x1b") || session.Address != "192.0.2.1" {
		t.Errorf("expected a short and clean user agent, seen %q at %q", session.UserAgent, session.Address)
	}
	if !session.Proven["otp"].Equal(h.now) {
		t.Errorf("expected when each factor was proven, seen %v", session.Proven)
	}
}
