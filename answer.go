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
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, v *visit, f *failure) error {
	id := h.log(r, f)
	if h.Mode == modePublic {
		return redirect(w, http.StatusSeeOther, h.homeWith(f.code))
	}
	return h.errorPage(w, r, v, http.StatusForbidden, f, id)
}

// failLogout answers for the logout: home, on all sites.
func (h *Handler) failLogout(w http.ResponseWriter, r *http.Request, f *failure) error {
	h.log(r, f)
	return redirect(w, http.StatusSeeOther, h.homeWith(f.code))
}

// homeWith is the home page's address with an error.
func (h *Handler) homeWith(c code) string {
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
func (h *Handler) disabled(w http.ResponseWriter, r *http.Request, v *visit, p *party) error {
	f := &failure{code: forbidden, cause: errDisabled, party: p}
	return h.errorPage(w, r, v, http.StatusForbidden, f, h.log(r, f))
}

// unavailable answers a private request of which nobody can say whose it is,
// since keys or logouts cannot be read.
func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, v *visit, err error) error {
	return h.retryLater(w, r, v, storageRetryAfter, storageFailure(err))
}

// storageRetryAfter is how long to stay away while sessions, keys or logouts
// cannot be read: they are looked at again about every second.
const storageRetryAfter = 2 * time.Second

func storageFailure(err error) *failure {
	return &failure{code: providerUnavailable, cause: fmt.Errorf("%w: %w", errStorage, err)}
}

// retryLater is a 503: the page is not open, and a moment later it may be.
func (h *Handler) retryLater(w http.ResponseWriter, r *http.Request, v *visit, after time.Duration, f *failure) error {
	seconds := max(1, int(math.Ceil(after.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	f.returnTo = returnOf(r)
	return h.errorPage(w, r, v, http.StatusServiceUnavailable, f, h.log(r, f))
}

// challenge answers who is not signed in and does not open a page: a login
// would serve nothing here. It names no authentication scheme, since no
// credentials are accepted here (fault D7).
func (h *Handler) challenge(w http.ResponseWriter, _ *http.Request, v *visit) error {
	header := w.Header()
	plainHeaders(header)
	if h.ErrorPages == "caddy" {
		return caddyhttp.Error(http.StatusUnauthorized, errors.New("sign-in needed"))
	}
	reason := "sign_in_required"
	if v.lacks == lacksClaims {
		reason = "session_outdated"
	} else if len(header["Set-Cookie"]) > 0 { // what did not open was cleared
		reason = "session_ended"
	}
	return problem(w, http.StatusUnauthorized, map[string]string{
		"type": "about:blank", "title": "Unauthorized",
		"detail": "This address is for signed-in users.", "reason": reason,
		"login_url": h.loginURL(h.defaultParty, ""),
	})
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
	secureHeaders(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}

// errorPage tells what went wrong, to people as a page and to programs as a
// problem, or leaves that to handle_errors.
func (h *Handler) errorPage(w http.ResponseWriter, r *http.Request, v *visit, status int, f *failure, errorID string) error {
	plainHeaders(w.Header())
	v.failed = f
	shown := page{Title: titleOf(status, f.code), Message: codes[f.code].message, Hint: hints[f.code], Code: string(f.code), ErrorID: errorID, Status: status}
	p := f.party
	if p == nil || p.config.Disabled {
		p = h.defaultParty
	}
	if !p.config.Disabled {
		shown.LoginURL = h.loginURL(p, f.returnTo)
	}
	for _, s := range situations {
		if errors.Is(f.cause, s.cause) {
			shown.Title, shown.Message, shown.Hint = s.title, s.message, s.hint
			if s.noLogin {
				shown.LoginURL = ""
			}
		}
	}
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
	if v.signedIn() {
		shown.User = v.userID()
	}
	return h.render(w, r, "error.html", status, shown)
}

// hints say what people can do themselves.
var hints = map[code]string{
	loginExpired: "If this happens again, allow cookies for this site, and do not bookmark the sign-in page.",
}

func titleOf(status int, c code) string {
	switch {
	case status == http.StatusServiceUnavailable:
		return "Not available at the moment"
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
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, v *visit) error {
	name := errorCodeOf(r)
	f := &failure{code: code(name), cause: errors.New("shown on a private page")}
	h.logger.Debug("a private page was opened with an error", zap.String("code", name))
	return h.errorPage(w, r, v, http.StatusForbidden, f, "")
}
