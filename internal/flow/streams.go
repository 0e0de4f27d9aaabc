package flow

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/streams"
)

// This file decides whether a stream may continue: whether a new request like the
// one that began it would still be served.

// Guard is an instance that let the request of a signed-in user pass.
type Guard struct {
	instance *Instance
	rules    []*authz.Set
	next     *Guard // an earlier instance that did, or nil
	public   bool
}

// IsZero reports whether no instance let the request pass.
func (g *Guard) IsZero() bool { return g.instance == nil }

// Pass records that an instance let the request pass under a policy, after those
// recorded before.
func (g *Guard) Pass(in *Instance, policy *authz.Policy) {
	if g.instance != nil {
		before := *g
		g.next = &before
	}
	g.instance, g.rules, g.public = in, policy.Rules, policy.Public
}

// Watch is what a stream keeps of its request at one instance that let it pass.
type Watch struct {
	guard Guard
	at    *Instance // the instance that opened the session
	// cookie is the session's cookie; nil for a program, which has a credential.
	cookie     *liveCookie
	credential program.Credential
	session    session.ID
}

// watches are the watches of all instances that let a request pass. Each may have
// identified another user.
type watches []*Watch

// Watch makes a response that becomes a stream depend on the session of its
// request.
func (st *State) Watch(guard Guard, response *streams.Response) {
	if response.Check != nil {
		return
	}
	var all watches
	for g := &guard; g != nil; g = g.next {
		all = append(all, st.stateAt(g.instance).watch(*g))
	}
	response.Check, response.Ended, response.Released = all.Check, all[0].logEnded, all.release
}

// watch returns the watch for one guard.
func (st *State) watch(guard Guard) *Watch {
	w := &Watch{guard: guard, at: st.at, session: st.session.ID}
	if st.IsProgram() {
		w.credential, _ = st.at.Programs.Find(st.Credentials) // it was found before
	} else {
		w.cookie = st.at.Shared.Memory.liveCookies.acquire(st.session, st.sessionAAD(), st.value)
	}
	return w
}

// Check checks the stream at every instance. It runs outside of a request, where a
// panic, such as one in a directory of known users, would crash the server; instead
// it ends the stream.
func (all watches) Check(ctx context.Context) (verdict streams.Verdict) {
	defer func() {
		if failed := recover(); failed != nil {
			all[0].at.Logger.LogAttrs(ctx, slog.LevelError, "the check of a stream has panicked", slog.String("event", "stream_check_panicked"),
				slog.Any("error", failed), slog.String("stack", string(debug.Stack())))
			verdict = streams.Over
		}
	}()
	verdict = streams.Allowed
	for _, w := range all {
		switch w.Check(ctx) {
		case streams.Over:
			return streams.Over
		case streams.Unknown:
			verdict = streams.Unknown
		}
	}
	return verdict
}

// release releases the cookies.
func (all watches) release() {
	for _, w := range all {
		if w.cookie != nil {
			w.at.Shared.Memory.liveCookies.release(w.cookie)
		}
	}
}

// sessionAAD returns the additional data that the session's cookie is sealed with.
// A handler behind the guard may have changed the host of the request since.
func (st *State) sessionAAD() (aad string) {
	for _, r := range []*http.Request{st.r, st.at.Server.Original(st.r)} {
		s := st.at.Scopes.Of(r)
		if s == nil {
			continue
		}
		aad = s.SessionAAD
		if l, err := st.at.loadAgain(r.Context(), aad, st.value, st.at.Now()); err == nil && l != nil {
			return aad
		}
	}
	return aad
}

// Check checks the stream like a new request with the same cookie or credential. It
// does not count as use of the session.
func (w *Watch) Check(ctx context.Context) streams.Verdict {
	load := w.loadSession
	if w.cookie == nil {
		load = w.loadProgram
	}
	l, p, verdict := load(ctx)
	if verdict != streams.Allowed {
		return verdict
	}
	if f := w.at.checkKnown(ctx, p, &l.Session); f != nil {
		if f.Code == errorcode.UserUnknown {
			return streams.Over
		}
		return streams.Unknown
	}
	st := State{at: w.at, provider: p, loaded: l, session: &l.Session, scheme: w.credential.Scheme}
	if !w.guard.stillServes(&st) {
		return streams.Over
	}
	return streams.Allowed
}

// loadSession loads the session from its newest cookie.
func (w *Watch) loadSession(ctx context.Context) (*sessionstore.Loaded, *Provider, streams.Verdict) {
	in := w.at
	l, err := in.loadAgain(ctx, w.cookie.aad, w.cookie.value(), in.Now())
	switch {
	case err != nil:
		return nil, nil, streams.Unknown
	case l == nil || l.Session.ID != w.session || in.recheckDue(&l.Session):
		return nil, nil, streams.Over
	}
	p := in.Providers[l.Session.Provider]
	if p == nil || p.Binding != l.Session.Binding || p.Disabled {
		return nil, nil, streams.Over
	}
	return l, p, streams.Allowed
}

// loadProgram verifies the credential again.
func (w *Watch) loadProgram(ctx context.Context) (*sessionstore.Loaded, *Provider, streams.Verdict) {
	l, p, err := w.at.verifyProgram(ctx, &w.credential)
	var unavailable *program.UnavailableError
	switch {
	case errors.As(err, &unavailable):
		return nil, nil, streams.Unknown
	case err != nil:
		return nil, nil, streams.Over
	}
	return l, p, streams.Allowed
}

// stillServes reports whether the instance would serve a request with the session.
// Results of expressions about the request are kept from when it came.
func (g *Guard) stillServes(st *State) bool {
	x := sessions{request{Instance: g.instance, State: st}}
	facts := authz.Facts{User: st.User(), Shortfall: x.findShortfall(), Policy: authz.Policy{Public: g.public, Rules: g.rules}}
	subject := st.Subject(nil)
	facts.Outcome = authz.EvaluateAgain(g.rules, &subject, st.rulesMemory())
	return authz.Decide(&facts).Action == authz.Serve
}

// loadAgain loads the session of a cookie as a request does.
func (in *Instance) loadAgain(ctx context.Context, aad, value string, now time.Time) (l *sessionstore.Loaded, err error) {
	_, opened, unavailable := seal.OpenWith(ctx, in.Keys, func(ring *seal.Ring) (err error) {
		l, err = in.Sessions.Load(ctx, ring, aad, value, now)
		return err
	})
	if errors.Is(opened, seal.ErrUnknownKey) {
		return nil, nil // the key was withdrawn
	}
	return l, cmp.Or(unavailable, opened)
}

// logEnded logs that the stream was ended.
func (w *Watch) logEnded() {
	w.at.Logger.LogAttrs(context.Background(), slog.LevelInfo, "a stream ends, since its user must not have it any more", slog.String("event", "stream_ended"),
		slog.String("session", audit.SessionName(&session.Session{ID: w.session})))
}

// liveCookies keeps the newest session cookie of each session that has a stream, as
// far as this process has seen it. When a request renews the session, its streams
// continue with the new cookie.
type liveCookies struct {
	count atomic.Int32 // number of entries, to keep see cheap while there are none
	mu    sync.Mutex
	all   map[session.ID]*liveCookie
}

type liveCookie struct {
	id  session.ID
	aad string

	uses int // guarded by the mutex of liveCookies
	mu   sync.Mutex
	text string
	seen time.Time // when the session was last used
	made time.Time // when the session was last updated
}

func (c *liveCookie) value() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text
}

// acquire returns the entry of a session, and adds one if necessary. release frees
// it.
func (all *liveCookies) acquire(s *session.Session, aad, value string) *liveCookie {
	all.mu.Lock()
	c := all.all[s.ID]
	if c == nil || c.aad != aad {
		c = &liveCookie{id: s.ID, aad: aad}
		if all.all == nil {
			all.all = make(map[session.ID]*liveCookie)
		}
		all.all[s.ID] = c
		all.count.Add(1)
	}
	c.uses++
	all.mu.Unlock()
	c.renew(s, value)
	return c
}

func (all *liveCookies) release(c *liveCookie) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if c.uses--; c.uses > 0 {
		return
	}
	all.count.Add(-1)
	if all.all[c.id] == c {
		delete(all.all, c.id)
	}
}

// see records the value of a session's cookie if the session has streams.
func (all *liveCookies) see(s *session.Session, aad, value string) {
	if all.count.Load() == 0 {
		return
	}
	all.mu.Lock()
	c := all.all[s.ID]
	all.mu.Unlock()
	if c != nil && c.aad == aad {
		c.renew(s, value)
	}
}

// renew replaces the value if it is newer.
func (c *liveCookie) renew(s *session.Session, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" || !s.Seen.Before(c.seen) && !s.Updated().Before(c.made) {
		c.text, c.seen, c.made = string([]byte(value)), s.Seen, s.Updated()
	}
}
