package flow

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file tells scripts about the session.
//
// What it says is for pages of this origin, and of those that are listed. Other pages
// can send requests as well, which carry cookies, so nothing is opened for them: not
// even the time that a response takes depends on the session then.

// SessionEndpoint is what the session endpoint returns, and to which other origins.
type SessionEndpoint struct {
	Claims  []string // the paths of claims that it returns
	Origins []address.Origin
}

// sessionDocument is what the session endpoint returns. All but the first and the last
// two members are absent for an unauthenticated request.
type sessionDocument struct {
	Authenticated bool                       `json:"authenticated"`
	User          *sessionUser               `json:"user,omitempty"`
	Claims        map[string]json.RawMessage `json:"claims,omitzero"`
	ExpiresIn     *int64                     `json:"expires_in,omitempty"`
	IdleExpiresIn *int64                     `json:"idle_expires_in,omitempty"`
	LoginURL      string                     `json:"login_url"`
	LogoutURL     string                     `json:"logout_url"`
}

type sessionUser struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Email    string      `json:"email"`
	Groups   claims.List `json:"groups"`
	Provider string      `json:"provider"`
}

// serveSession returns who is signed in. Reading it is no use of the session, which
// may end while a page looks at it; a POST is.
func serveSession(x *Exchange, _ *Provider) error {
	header := x.header()
	pages.StrictSecurityHeaders(header)
	header.Set("Vary", "Origin, Cookie, Sec-Fetch-Site")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if isForPage(x.R) {
		return x.errorPage(http.StatusNotFound, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrNoEndpoint}, "")
	}
	reader, allowed := x.sessionReader()
	if !allowed {
		refusal := pages.Problem{Detail: "Pages of this origin may not read this.", Reason: string(errorcode.Forbidden)}
		return refusal.Write(x.W, http.StatusForbidden)
	}
	if reader != "" {
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		allowReading(header, reader)
	}
	x.State.use = usesNothing
	if x.R.Method == http.MethodPost {
		x.State.use = usesNow
	}
	if _, unavailable := x.authenticateSession(false); unavailable != nil {
		return x.respondSessionUnknown(unavailable)
	}
	known, err := x.isAdmitted()
	if err != nil {
		return err
	}
	document := x.sessionDocument(known, reader != "")
	text, err := json.Marshal(document)
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: err}
	}
	header.Set("Content-Type", "application/json")
	_, _ = x.W.Write(append(text, '\n'))
	return nil
}

// isForPage reports whether a browser would show the response in a tab or a frame.
func isForPage(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" || r.Header.Get("Sec-Fetch-Dest") == "document"
}

// sessionReader returns the other origin whose page reads the response; nothing for a
// page of this one. It is not allowed if the page has another origin that is not
// listed, or may have one. Only a page of this origin can have the session prolonged.
func (x *Exchange) sessionReader() (reader string, allowed bool) {
	from := x.R.Header["Origin"]
	isOwn := len(from) == 1 && x.Scope().Origin.String() == from[0]
	isForeign := x.isFetchedFromElsewhere()
	switch {
	case x.R.Method == http.MethodPost:
		return "", isOwn && !isForeign
	case len(from) == 0 || isOwn:
		return "", !isForeign
	}
	reader = listedOrigin(x.R, x.SessionEndpoint.Origins)
	return reader, reader != ""
}

// isFetchedFromElsewhere reports whether a browser says that a page of another origin
// sent the request.
func (x *Exchange) isFetchedFromElsewhere() bool {
	site := x.R.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// isAdmitted reports whether a user is signed in who is one on public pages of this
// instance as well.
func (x *Exchange) isAdmitted() (bool, error) {
	if !x.State.SignedIn() || x.State.unconfirmed {
		return false, nil
	}
	return x.Admits(x)
}

// sessionDocument returns what is known about the session. signedIn reports whether
// there is one. For a page of another origin, addresses are whole.
func (x *Exchange) sessionDocument(signedIn, elsewhere bool) *sessionDocument {
	document := &sessionDocument{LoginURL: x.loginURL(x.Default, x.pageBefore(), op.Proof{}), LogoutURL: x.LogoutPath}
	if elsewhere {
		origin := x.Scope().Origin.String()
		document.LoginURL, document.LogoutURL = origin+document.LoginURL, origin+document.LogoutURL
	}
	if !signedIn {
		return document
	}
	user, s := x.State.User(), x.State.session
	document.Authenticated = true
	document.User = &sessionUser{ID: user.ID(), Email: user.Email(), Groups: claims.List{}, Provider: user.Mapping.Provider}
	if name, ok := s.Claims.Get("name"); ok {
		document.User.Name = name.Text()
	}
	document.User.Groups = append(document.User.Groups, user.Groups()...)
	document.Claims = make(map[string]json.RawMessage)
	for _, path := range x.SessionEndpoint.Claims {
		if value, ok := user.Claim(path); ok {
			document.Claims[path] = value.JSON()
		}
	}
	document.ExpiresIn = x.secondsUntil(x.endOf(s.SignedIn, s.Expires))
	if x.IdleTimeout > 0 {
		seen := s.Seen
		if x.State.seen.After(seen) {
			seen = x.State.seen
		}
		document.IdleExpiresIn = x.secondsUntil(seen.Add(x.IdleTimeout))
	}
	return document
}

// endOf returns when a session ends at the latest: the lifetime may have been shortened
// since the sign-in.
func (in *Instance) endOf(signedIn, expires time.Time) time.Time {
	if shortened := signedIn.Add(in.Lifetime); shortened.Before(expires) {
		return shortened
	}
	return expires
}

// secondsUntil returns the whole seconds until a time.
func (in *Instance) secondsUntil(end time.Time) *int64 {
	seconds := max(0, int64(end.Sub(in.Now())/time.Second))
	return &seconds
}

// respondSessionUnknown responds while it is unknown who is signed in: a script that
// reads of no session would begin a login.
func (x *Exchange) respondSessionUnknown(f *Failure) error {
	x.log(f)
	x.header().Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter.Seconds()))))
	problem := pages.Problem{Detail: f.Code.Message(), Reason: string(f.Code)}
	return problem.Write(x.W, http.StatusServiceUnavailable)
}
