package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
)

// This file is the one place where a failure becomes a status, a page, a log
// line and what placeholders say.

// failure is a sign-in or sign-out that did not work.
type failure struct {
	code     errorcode.Code
	cause    error
	provider *provider
	// returnTo is where a fresh start is to lead.
	returnTo string
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.code, f.cause) }
func (f *failure) Unwrap() error { return f.cause }

// Causes that users read nothing special about.
var (
	errEarlyData = errors.New("not in TLS early data")
	errNoHost    = errors.New("the request names no host")
)

// queryErrorCodeOf is what auth_error in a request's query names, if it is one of
// our codes.
func queryErrorCodeOf(r *http.Request) string {
	if !strings.Contains(originalURL(r).RawQuery, "auth_error=") {
		return ""
	}
	c, _ := errorcode.Lookup(queryOf(r, "auth_error").Get("auth_error"))
	return string(c)
}

// outageEvery is how often an outage is logged aloud: every page load meets it.
const outageEvery = 10 * time.Second

// log writes the one line about a failure and returns the id that its page
// shows, or none if nothing was written.
func (h *Handler) log(r *http.Request, f *failure) (id string) {
	logging := errorcode.Log(f.code, f.cause)
	level := zapLevel(logging.Level)
	if logging.Throttled && !h.outageDue() {
		level = zap.DebugLevel
	}
	if logging.Refusal {
		return h.auditRefused(r, f, level, providerWords(f.cause)...)
	}
	entry := h.logger.Check(level, "authentication error")
	if entry == nil {
		return ""
	}
	id = newErrorID()
	name := ""
	if f.provider != nil {
		name = f.provider.id
	}
	client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	fields := []zap.Field{
		zap.String("code", string(f.code)), zap.String("provider", name), zap.Error(f.cause),
		zap.String("error_id", id), zap.String("client_ip", client), zap.String("host", r.Host),
	}
	entry.Write(append(fields, providerWords(f.cause)...)...)
	return id
}

// outageDue reports whether an outage is to be logged aloud now.
func (h *Handler) outageDue() bool {
	now := h.now().UnixNano()
	last := h.outageLogged.Load()
	return (now-last >= int64(outageEvery) || now < last) && h.outageLogged.CompareAndSwap(last, now)
}

// zapLevel is a level of log/slog as zap names it.
func zapLevel(level slog.Level) zapcore.Level {
	switch {
	case level >= slog.LevelError:
		return zap.ErrorLevel
	case level >= slog.LevelWarn:
		return zap.WarnLevel
	case level >= slog.LevelInfo:
		return zap.InfoLevel
	}
	return zap.DebugLevel
}

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
func (h *Handler) homeWithError(c errorcode.Code) string {
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
	f := &failure{code: errorcode.Forbidden, cause: errorcode.ErrDisabled, provider: p}
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
	return &failure{code: errorcode.ProviderUnavailable, cause: fmt.Errorf("%w: %w", errorcode.ErrStorage, err)}
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
	text := errorcode.Explain(f.code, f.cause, status == http.StatusServiceUnavailable)
	shown := page{Title: text.Title, Message: text.Message, Hint: text.Hint, Code: string(f.code), ErrorID: errorID, Status: status}
	p := f.provider
	if p == nil || p.disabled {
		p = h.defaultProvider
	}
	if text.Retry && !p.disabled {
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
	if !navigation.WantsPage(r) {
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

// explain shows the error that came back with a page that is not public.
func (h *Handler) respondKnownError(w http.ResponseWriter, r *http.Request, st *requestState) error {
	name := queryErrorCodeOf(r)
	f := &failure{code: errorcode.Code(name), cause: errors.New("shown on a private page")}
	h.logger.Debug("a private page was opened with an error", zap.String("code", name))
	return h.errorPage(w, r, st, http.StatusForbidden, f, "")
}
