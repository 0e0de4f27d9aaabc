package flow

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/assertion"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file tells applications in a signed statement who a request comes from.

// Assertions is what an instance states.
type Assertions struct {
	Keys     *assertion.Keys
	Audience string
	Claims   []string // paths
	Lifetime time.Duration
}

// statedFor is for how long a statement is used again, and stillValid for how long it
// must be valid then: an application may take a moment.
const (
	statedFor  = time.Minute
	stillValid = 10 * time.Second
)

// stated is a statement that was made for a session.
type stated struct {
	by     *Instance
	issuer string
	again  time.Time // until when it is used again
	at     time.Time
	text   string
}

// Assertion returns the statement about the user of the request, who is signed in;
// empty if it cannot be made now, which is logged. One is made for a session and used
// for a minute.
func (x *Exchange) Assertion() string {
	st, now := x.State, x.Now()
	s := x.Scope()
	if s == nil {
		return ""
	}
	issuer := s.Origin.String() + x.Endpoints
	if st.isAsLoaded() {
		if last, ok := st.loaded.Stated.Load().(*stated); ok && last.by == x.Instance && last.issuer == issuer && now.Before(last.again) && !now.Before(last.at) {
			return last.text
		}
	}
	made, err := x.state(issuer, now)
	if err != nil {
		if x.outageDue() {
			x.warn("assertion_missing", "an application does not get an assertion about the user", slog.String("host", x.R.Host), errAttr(err))
		}
		return ""
	}
	if st.isAsLoaded() && made.text != "" {
		st.loaded.Stated.Store(made)
	}
	return made.text
}

// state makes a statement. It is empty at the very end of a session, which it must not
// outlast.
func (x *Exchange) state(issuer string, now time.Time) (*stated, error) {
	a, u := x.Assertions, x.State.User()
	expires := now.Add(a.Lifetime)
	if end := x.statedUntil(x.State); !end.IsZero() && end.Before(expires) {
		expires = end
	}
	if expires.Unix() <= now.Unix() {
		return new(stated), nil
	}
	statement := assertion.Statement{
		Issuer: issuer, Audience: a.Audience, Subject: u.ID(), Kind: u.Kind(), IssuedAt: now, Expires: expires,
		Claims: make(map[string]json.RawMessage, len(a.Claims)),
	}
	for _, path := range a.Claims {
		if value, has := u.Claim(path); has {
			statement.Claims[path] = value.JSON()
		}
	}
	text, err := a.Keys.Sign(x.R.Context(), statement)
	if err != nil {
		return nil, err
	}
	made := &stated{by: x.Instance, issuer: issuer, at: now, text: text}
	made.again = now.Add(statedFor)
	if latest := expires.Add(-min(stillValid, a.Lifetime/2)); latest.Before(made.again) {
		made.again = latest
	}
	return made, nil
}

// statedUntil returns when the session ends by itself; zero if it does not.
func (in *Instance) statedUntil(st *State) time.Time {
	s := st.session
	if !st.IsProgram() {
		return in.endOf(s.SignedIn, s.Expires)
	}
	end := s.Expires
	if token := s.AccessTokenExpires; !token.IsZero() && (end.IsZero() || token.Before(end)) {
		end = token
	}
	return end
}

// serveAssertionKeys publishes the keys of the statements.
func serveAssertionKeys(x *Exchange, _ *Provider) error {
	published, err := x.Assertions.Keys.Published(x.R.Context())
	if err != nil {
		return x.RespondUnavailable(storageFailure(err))
	}
	document, err := json.Marshal(published)
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: fmt.Errorf("write the key set: %w", err)}
	}
	pages.StrictSecurityHeaders(x.header())
	x.header().Set("Content-Type", "application/json")
	_, _ = x.W.Write(document)
	return nil
}
