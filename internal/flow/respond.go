package flow

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file is the only place where a failure becomes a status, a page, and the
// values of placeholders.

// respondError responds to a failed login: a public site redirects to its home
// page, a private one shows an error page.
func (x *Exchange) respondError(f *Failure) error {
	x.countFailedLogin(f)
	return x.respondLoggedError(f, x.log(f))
}

// respondLoggedError is respondError for a failure that is already logged, with the
// given error id.
func (x *Exchange) respondLoggedError(f *Failure, id string) error {
	if f.Attempt {
		return x.leadBackFromAttempt(f.ReturnTo, f.Fragment)
	}
	x.forgetLast() // the next attempt may be another user's, or at another provider
	if f.Popup {
		return x.popupPage(http.StatusForbidden, f, id)
	}
	if x.Public {
		return pages.Redirect(x.W, http.StatusSeeOther, x.homeWithError(f.Code))
	}
	return x.errorPage(http.StatusForbidden, f, id)
}

// respondLogoutError responds to a failed logout by a redirect to the home page.
func (x *Exchange) respondLogoutError(f *Failure) error {
	countLogout("logout", failed)
	x.log(f)
	return pages.Redirect(x.W, http.StatusSeeOther, x.homeWithError(f.Code))
}

// respondDisabled responds for a provider that is disabled.
func (x *Exchange) respondDisabled(p *Provider) error {
	return x.respondForbidden(&Failure{Code: errorcode.Forbidden, Cause: errorcode.ErrDisabled, Provider: p})
}

// respondForbidden logs a failure and responds with 403.
func (x *Exchange) respondForbidden(f *Failure) error {
	return x.errorPage(http.StatusForbidden, f, x.log(f))
}

// RefuseForeignWebSocket responds to a WebSocket handshake by a page of another
// site.
func (x *Exchange) RefuseForeignWebSocket() error {
	return x.errorPage(http.StatusForbidden, &Failure{Code: errorcode.Forbidden, Cause: errorcode.ErrForeignWebSocket}, "")
}

// RespondUnavailable responds with 503 and Retry-After.
func (x *Exchange) RespondUnavailable(f *Failure) error {
	seconds := max(1, int(math.Ceil(f.RetryAfter.Seconds())))
	x.header().Set("Retry-After", strconv.Itoa(seconds))
	if s := x.Scope(); s != nil {
		f.ReturnTo = x.returnToPage(s)
	}
	return x.errorPage(http.StatusServiceUnavailable, f, x.log(f))
}

// RespondKnownError shows the error in the query of a private page.
func (x *Exchange) RespondKnownError() error {
	code := x.QueryError()
	x.debug("error_shown", "a private page was opened with an error", slog.String("code", string(code)))
	return x.errorPage(http.StatusForbidden, &Failure{Code: code, Cause: errors.New("shown on a private page")}, "")
}

// leavesErrors reports whether errors are left to the server's error pages. Those
// of described requests are not: the proxy might take the server's response for
// permission.
func (x *Exchange) leavesErrors() bool { return x.LeaveErrors && !x.State.Described }

// errorPage responds to a failure: with a page for browsers, a problem document for
// programs, or an *Error that the server's error pages render.
func (x *Exchange) errorPage(status int, f *Failure, errorID string) error {
	pages.BaseSecurityHeaders(x.header())
	st := x.State
	st.failed = f
	text := errorcode.Explain(f.Code, f.Cause, status == http.StatusServiceUnavailable)
	shown := pages.Data{TitleKey: text.Title.Key, MessageKey: text.Message.Key, HintKey: text.Hint.Key, Code: string(f.Code), ErrorID: errorID, Status: status}
	p := f.Provider
	if p == nil || p.Disabled || p.ForPrograms {
		p = x.Default
	}
	start := p
	if x.Default == nil {
		start = nil // another login may use another provider
	}
	if text.Retry && x.offersLogin(start) {
		shown.LoginURL = x.inLanguage(start, x.loginURL(start, f.ReturnTo, f.Proof))
		if x.isHandoverURL(f.ReturnTo) {
			shown.LoginURL = f.ReturnTo // continue the login of the other site
		}
	}
	st.shown = text.Message.English
	if x.leavesErrors() {
		return &Error{Status: status, ID: errorID, Err: fmt.Errorf("%s: %s", f.Code, st.shown)}
	}
	if st.IsProgram() {
		return x.programProblem(status, f, text, errorID)
	}
	problem := pages.Problem{Detail: st.shown, Reason: string(f.Code), Rule: shownRule(f), ErrorID: errorID}
	if viewer := x.viewer(); viewer != nil {
		user := viewer.User()
		shown.User, shown.Rule = user.ID(), problem.Rule
		if user.Several {
			shown.Provider = viewer.provider.Name
		}
		shown.LoginURL = linkFor(status, shown.LoginURL, f)
		problem.User, problem.Provider, problem.LogoutURL = shown.User, user.Mapping.Provider, x.LogoutPath
	}
	if !navigation.WantsPage(x.R) {
		problem.LoginURL = shown.LoginURL
		return problem.Write(x.W, status)
	}
	if errors.Is(f.Cause, errorcode.ErrUnproved) {
		shown.RetryURL = x.retryURL(p, f)
		if shown.User == "" {
			shown.LoginURL = ""
		}
	}
	return x.render(pages.Error, status, shown)
}

// retryURL returns the link for users who did not prove enough: the page itself,
// which demands the same again, or a login link if the page does not begin a login.
func (x *Exchange) retryURL(p *Provider, f *Failure) string {
	if f.ReturnTo == "" || errors.Is(f.Cause, errNoStepUp) {
		return x.loginURL(p, f.ReturnTo, f.Proof)
	}
	return f.ReturnTo
}

// linkFor returns the link on an error page for signed-in users: another account if
// that may help, the page itself if it was unavailable, and otherwise none.
func linkFor(status int, loginURL string, f *Failure) string {
	switch {
	case loginURL == "":
		return ""
	case status == http.StatusForbidden:
		return withAnotherAccount(loginURL)
	case status == http.StatusServiceUnavailable:
		return f.ReturnTo
	}
	return ""
}

// withAnotherAccount adds the prompt for another account to a login URL.
func withAnotherAccount(loginURL string) string {
	return withQuery(loginURL, "prompt="+selectAccount)
}

// withQuery adds parameters to one of our own addresses.
func withQuery(location, parameters string) string {
	if strings.Contains(location, "?") {
		return location + "&" + parameters
	}
	return location + "?" + parameters
}

var errUnauthenticated = errors.New("the request is not authenticated")

// RespondUnauthorized responds with 401 to a request for a private address for
// which no login begins, because the client would not follow a redirect to the
// provider. decided is the reason, and demands are those of rules.
func (x *Exchange) RespondUnauthorized(decided authz.Reason, demands authz.Demands) error {
	reason, p := errorcode.SignInRequired, x.Default
	if x.State.SignedIn() && !x.State.provider.ForPrograms {
		p = x.State.provider
	}
	proof := proofOfRules(demands, p)
	switch {
	case decided == authz.ReasonShortOfClaims:
		reason = errorcode.SessionOutdated
	case decided == authz.ReasonShortOfProof:
		reason = errorcode.InsufficientAuthentication
		proof.Add(proofOfProvider(p))
	case decided == authz.ReasonUnproved:
		reason = errorcode.InsufficientAuthentication
	case len(x.header()["Set-Cookie"]) > 0: // an invalid session was cleared
		reason = errorcode.SessionEnded
	}
	said := challenge{scopes: demands.Scopes, proof: proof}
	if reason == errorcode.InsufficientAuthentication {
		said.err = string(reason)
	}
	x.challenge(said)
	return x.unauthorized(reason, p, x.pageBefore(), proof)
}

// unauthorized responds with 401 and says what a login has to prove. It does not
// set WWW-Authenticate; RespondUnauthorized does if programs are accepted.
func (x *Exchange) unauthorized(reason errorcode.Code, p *Provider, returnTo string, proof op.Proof) error {
	observe.Unauthorized.With(string(reason)).Inc()
	pages.BaseSecurityHeaders(x.header())
	st := x.State
	st.failed = &Failure{Code: reason, Cause: errUnauthenticated, Provider: p, ReturnTo: returnTo, Proof: proof}
	st.shown = reason.Message()
	if len(x.ReturnTo) > 0 {
		x.header().Add("Vary", "Origin")
	}
	if x.R.Header.Get("HX-Request") == "true" {
		// HTMX follows it whatever the status is, except for redirects.
		x.header().Set("HX-Redirect", x.loginURL(p, returnTo, proof))
	}
	switch {
	case x.leavesErrors():
		return &Error{Status: http.StatusUnauthorized, Err: errors.New("sign-in needed")}
	case st.IsProgram():
		return x.programProblem(http.StatusUnauthorized, st.failed, errorcode.Explain(reason, errUnauthenticated, false), "")
	case navigation.IsNavigation(x.R):
		return x.signInPage(st.failed)
	}
	if origin := listedOrigin(x.R, x.ReturnTo); origin != "" && x.Scope() != nil {
		return x.unauthorizedElsewhere(origin, reason, x.loginURL(p, returnTo, proof))
	}
	problem := pages.Problem{Detail: st.shown, Reason: string(reason), LoginURL: x.loginURL(p, returnTo, proof)}
	problem.ACRValues, problem.MaxAge = acceptableOf(proof), secondsOf(proof.MaxAge)
	return problem.Write(x.W, http.StatusUnauthorized)
}

// render writes a page.
func (x *Exchange) render(name string, status int, data pages.Data) error {
	page, err := x.page(name, data)
	if err != nil {
		return err
	}
	return page.Write(x.W, x.R, status)
}

// page renders a page.
func (x *Exchange) page(name string, data pages.Data) (*pages.Page, error) {
	data.Host = x.R.Host
	if s := x.Scope(); s != nil {
		data.Host = s.Origin.Host
	}
	data.HomeURL, data.LogoutURL = x.Home, x.LogoutPath
	page, err := x.Templates().Render(name, x.language(), data)
	if err != nil {
		return nil, &Error{Status: http.StatusInternalServerError, Err: err}
	}
	return page, nil
}

// signInPage asks users in a frame, or who sent a form, to sign in in another tab.
// It may be framed, and contains nothing private.
func (x *Exchange) signInPage(f *Failure) error {
	text := errorcode.Explain(f.Code, f.Cause, false)
	shown := pages.Data{TitleKey: text.Title.Key, Sent: !navigation.IsRead(x.R)}
	if x.offersLogin(f.Provider) {
		shown.LoginURL = x.loginURL(f.Provider, f.ReturnTo, f.Proof)
	}
	if f.Code == errorcode.InsufficientAuthentication || f.Code == errorcode.SessionOutdated {
		shown.MessageKey = text.Message.Key
	} else if viewer := x.viewer(); viewer != nil {
		shown.TitleKey, shown.User, shown.LoginURL = "session_ended.framed_title", viewer.User().ID(), ""
	}
	page, err := x.page(pages.SessionEnded, shown)
	if err != nil {
		return err
	}
	return page.WriteFramed(x.W, x.R, http.StatusUnauthorized)
}
