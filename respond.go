package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// fail answers for the login and code endpoints: a public site's home shows
// what happened, a private site has a page for it. It is the one place where
// such an error becomes a log line and a status.
func (h *Handler) respondError(w http.ResponseWriter, r *http.Request, st *requestState, f *failure) error {
	return h.respondLoggedError(w, r, st, f, h.log(r, f))
}

// respondLoggedError is fail for a failure that is in the log already, under an id.
func (h *Handler) respondLoggedError(w http.ResponseWriter, r *http.Request, st *requestState, f *failure, id string) error {
	if h.Mode == modePublic {
		return redirect(w, http.StatusSeeOther, h.homeWithError(f.code))
	}
	return h.errorPage(w, r, st, http.StatusForbidden, f, id)
}

// respondLogoutError answers for the logout: home, on all sites.
func (h *Handler) respondLogoutError(w http.ResponseWriter, r *http.Request, f *failure) error {
	h.log(r, f)
	return redirect(w, http.StatusSeeOther, h.homeWithError(f.code))
}

// homeWithError is the home page's address with an error.
func (h *Handler) homeWithError(c errorCode) string {
	home, fragment, hasFragment := strings.Cut(h.Home, "#")
	separator := "?"
	if strings.Contains(home, "?") {
		separator = "&"
	}
	home += separator + "auth_error=" + string(c)
	if hasFragment {
		home += "#" + fragment
	}
	return home
}

// disabled answers for a provider that is switched off, on all sites.
func (h *Handler) respondDisabled(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	f := &failure{code: forbidden, cause: errDisabled, provider: p}
	return h.errorPage(w, r, st, http.StatusForbidden, f, h.log(r, f))
}

// unavailable answers a private request of which nobody can say whose it is,
// since keys or logouts cannot be read.
func (h *Handler) respondStorageUnavailable(w http.ResponseWriter, r *http.Request, st *requestState, err error) error {
	return h.respondUnavailable(w, r, st, storageRetryAfter, storageFailure(err))
}

// storageRetryAfter is how long to stay away while sessions, keys or logouts
// cannot be read: they are looked at again about every second.
const storageRetryAfter = 2 * time.Second

func storageFailure(err error) *failure {
	return &failure{code: providerUnavailable, cause: fmt.Errorf("%w: %w", errStorage, err)}
}

// respondUnavailable is a 503: the page is not open, and a moment later it may be.
func (h *Handler) respondUnavailable(w http.ResponseWriter, r *http.Request, st *requestState, after time.Duration, f *failure) error {
	seconds := max(1, int(math.Ceil(after.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	if s := h.cookieScope(r); s != nil {
		f.returnTo = h.returnToPage(s, r)
	}
	return h.errorPage(w, r, st, http.StatusServiceUnavailable, f, h.log(r, f))
}

// problem answers a program (RFC 9457).
func problem(w http.ResponseWriter, status int, members map[string]string) error {
	body := make(map[string]any, len(members)+1)
	for name, value := range members {
		body[name] = value
	}
	body["status"] = status
	text, err := json.Marshal(body)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	strictSecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}

// errorPage tells what went wrong, to people as a page and to programs as a
// problem, or leaves that to handle_errors.
func (h *Handler) errorPage(w http.ResponseWriter, r *http.Request, st *requestState, status int, f *failure, errorID string) error {
	baseSecurityHeaders(w.Header())
	st.failed = f
	shown := page{Title: titleOf(status, f.code), Message: errorCodes[f.code].message, Hint: hints[f.code], Code: string(f.code), ErrorID: errorID, Status: status}
	p := f.provider
	if p == nil || p.disabled {
		p = h.defaultProvider
	}
	canSignIn := !p.disabled
	for _, s := range situations {
		if s.is(f.cause) {
			shown.Title, shown.Message, shown.Hint = orDefault(s.title, shown.Title), orDefault(s.message, shown.Message), s.hint
			canSignIn = canSignIn && !s.noLogin
			break
		}
	}
	if canSignIn {
		shown.LoginURL = h.loginURL(p, f.returnTo)
	}
	st.shown = shown.Message
	if h.ErrorPages == "caddy" {
		err := caddyhttp.Error(status, fmt.Errorf("%s: %s", f.code, shown.Message))
		if errorID != "" {
			err.ID = errorID // as in our log line
		}
		return err
	}
	if !wantsPage(r) {
		members := map[string]string{"type": "about:blank", "title": http.StatusText(status), "detail": shown.Message, "reason": string(f.code)}
		if shown.LoginURL != "" {
			members["login_url"] = shown.LoginURL
		}
		if errorID != "" {
			members["error_id"] = errorID
		}
		return problem(w, status, members)
	}
	if viewer := h.viewer(r, st); viewer != nil {
		shown.User = viewer.userID()
		shown.LoginURL = h.linkFor(status, shown.LoginURL, f)
	}
	return h.render(w, r, "error.html", status, shown)
}

// linkFor is what an error page offers to someone who is signed in: another
// account where that can help, and the page itself once more where it was not
// available; never to sign in.
func (h *Handler) linkFor(status int, loginURL string, f *failure) string {
	switch {
	case loginURL == "":
		return ""
	case status == http.StatusForbidden:
		return withAnotherAccount(loginURL)
	case status == http.StatusServiceUnavailable:
		return f.returnTo
	}
	return ""
}

// hints say what people can do themselves.
var hints = map[errorCode]string{
	cookiesRejected: "Allow cookies for this site, and try again in a minute. If they are allowed, tell the operator of this site: the log says more.",
	loginExpired:    "If this happens again, allow cookies for this site, and do not bookmark the sign-in page.",
}

func titleOf(status int, c errorCode) string {
	switch {
	case status == http.StatusServiceUnavailable:
		return "Not available at the moment"
	case c == cookiesRejected:
		return "You cannot stay signed in"
	case c == accessDenied:
		return "Sign-in was cancelled"
	case c == logoutFailed:
		return "Sign-out did not work everywhere"
	}
	return "Sign-in did not work"
}

// wantsPage says whether a person will read the answer.
func wantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") || !strings.Contains(accept, "json")
}

// explain shows the error that came back with a page that is not public.
func (h *Handler) respondKnownError(w http.ResponseWriter, r *http.Request, st *requestState) error {
	name := queryErrorCodeOf(r)
	f := &failure{code: errorCode(name), cause: errors.New("shown on a private page")}
	h.logger.Debug("a private page was opened with an error", zap.String("code", name))
	return h.errorPage(w, r, st, http.StatusForbidden, f, "")
}
