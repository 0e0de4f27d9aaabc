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

// This file tells applications in a signed statement which user a request comes
// from.

// Assertions configures the signed statements of an instance.
type Assertions struct {
	Keys     *assertion.Keys
	Audience string
	Claims   []string // paths
	Lifetime time.Duration
}

// statementReuse is how long a statement is reused, and minValidity how long a
// reused one must remain valid, so that it does not expire on the way to the
// application.
const (
	statementReuse = time.Minute
	minValidity    = 10 * time.Second
)

// cachedStatement is a signed statement that was made for a session.
type cachedStatement struct {
	by     *Instance
	issuer string
	madeAt time.Time
	reuse  time.Time // when reuse ends
	text   string
}

// Assertion returns the signed statement about the signed-in user of the request. A
// statement is cached with the session for a minute. It is "" if none can be made
// now, which is logged.
func (x *Exchange) Assertion() string {
	st, now := x.State, x.Now()
	s := x.Scope()
	if s == nil {
		return ""
	}
	issuer := s.Origin.String() + x.Endpoints
	if st.isAsLoaded() {
		if last, ok := st.loaded.Stated.Load().(*cachedStatement); ok && last.by == x.Instance && last.issuer == issuer && now.Before(last.reuse) && !now.Before(last.madeAt) {
			return last.text
		}
	}
	made, err := x.makeStatement(issuer, now)
	if err != nil {
		if x.outageDue() {
			x.warn("assertion_missing", "an application gets no assertion about the user", slog.String("host", x.R.Host), errAttr(err))
		}
		return ""
	}
	if st.isAsLoaded() && made.text != "" {
		st.loaded.Stated.Store(made)
	}
	return made.text
}

// makeStatement signs a statement. Its text is empty at the very end of a session, which
// a statement must not outlast.
func (x *Exchange) makeStatement(issuer string, now time.Time) (*cachedStatement, error) {
	a, u := x.Assertions, x.State.User()
	expires := now.Add(a.Lifetime)
	if end := x.statedUntil(x.State); !end.IsZero() && end.Before(expires) {
		expires = end
	}
	if expires.Unix() <= now.Unix() {
		return new(cachedStatement), nil
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
	made := &cachedStatement{by: x.Instance, issuer: issuer, madeAt: now, text: text}
	made.reuse = now.Add(statementReuse)
	if latest := expires.Add(-min(minValidity, a.Lifetime/2)); latest.Before(made.reuse) {
		made.reuse = latest
	}
	return made, nil
}

// statedUntil returns when the session expires; zero if it does not.
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

// serveAssertionKeys publishes the public keys of the statements as a JWK Set.
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
