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

// This file serves information about the session to scripts.
//
// It is for pages of this origin and of listed origins. Other pages can send
// requests with cookies as well. For those no cookie is opened, so that not even
// the response time depends on the session.

// SessionEndpoint configures the session endpoint: what it returns, and to which
// other origins.
type SessionEndpoint struct {
	Claims  []string // paths of the claims in the response
	Origins []address.Origin
}

// sessionDocument is the response of the session endpoint. Unauthenticated requests
// get only authenticated, login_url and logout_url.
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

// serveSession responds with the session's document. A GET does not count as use of
// the session, which may expire while a page polls it; a POST does.
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

// sessionReader returns the listed origin of the page that reads the response; ""
// for a page of this origin. Other origins are not allowed, and only a page of this
// origin may prolong the session with a POST.
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

// isFetchedFromElsewhere reports whether, according to Sec-Fetch-Site, a page of
// another origin sent the request.
func (x *Exchange) isFetchedFromElsewhere() bool {
	site := x.R.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// isAdmitted reports whether a user is signed in who would count as signed in on
// public pages of this instance.
func (x *Exchange) isAdmitted() (bool, error) {
	if !x.State.SignedIn() || x.State.unconfirmed {
		return false, nil
	}
	return x.Admits(x)
}

// sessionDocument returns the document of the session at hand. For pages of another
// origin it has absolute URLs.
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

// endOf returns when a session expires. The configured lifetime may have become
// shorter since the login.
func (in *Instance) endOf(signedIn, expires time.Time) time.Time {
	if shortened := signedIn.Add(in.Lifetime); shortened.Before(expires) {
		return shortened
	}
	return expires
}

// secondsUntil returns the whole seconds until a time, at least 0.
func (in *Instance) secondsUntil(end time.Time) *int64 {
	seconds := max(0, int64(end.Sub(in.Now())/time.Second))
	return &seconds
}

// respondSessionUnknown responds with 503 while the session cannot be judged. If it
// responded that there is none, scripts would begin a login.
func (x *Exchange) respondSessionUnknown(f *Failure) error {
	x.log(f)
	x.header().Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter.Seconds()))))
	problem := pages.Problem{Detail: f.Code.Message(), Reason: string(f.Code)}
	return problem.Write(x.W, http.StatusServiceUnavailable)
}
