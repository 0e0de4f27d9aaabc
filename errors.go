package oidcrp

import (
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

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file is the one place where a failure becomes a status, a page, a log
// line and what placeholders say.

// failure is a sign-in or sign-out that did not work.
type failure struct {
	code     errorcode.Code
	cause    error
	provider *provider
	// returnTo is the page that a fresh sign-in leads to. Default: home.
	returnTo string
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.code, f.cause) }
func (f *failure) Unwrap() error { return f.cause }

// Causes about which users read what the error code says.
var (
	errEarlyData = errors.New("not in TLS early data")
	errNoHost    = errors.New("the request names no host")
)

// queryErrorCodeOf returns the error code that auth_error in a request's query
// names, or nothing.
func queryErrorCodeOf(r *http.Request) string {
	if !strings.Contains(originalURL(r).RawQuery, "auth_error=") {
		return ""
	}
	c, _ := errorcode.Lookup(queryOf(r, "auth_error").Get("auth_error"))
	return string(c)
}

// outageEvery is how often an outage is logged above the level debug: every page
// load meets it.
const outageEvery = 10 * time.Second

// log writes the one line about a failure and returns the id that its page
// shows, or none if nothing was written.
func (h *Handler) log(r *http.Request, f *failure) (id string) {
	logging := errorcode.Log(f.code, f.cause)
	if logging.Throttled && !h.outageDue() {
		logging.Level = slog.LevelDebug
	}
	if logging.Refusal {
		return h.auditRefused(r, f, logging.Level, providerWords(f.cause)...)
	}
	entry := h.logger.Check(zapLevel(logging.Level), "authentication error")
	if entry == nil {
		return ""
	}
	id = audit.NewErrorID()
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

// outageDue reports whether an outage is to be logged above the level debug now.
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

// respondError responds for the login and code endpoints: a public site's home
// page shows what happened, a private site has an error page.
func (h *Handler) respondError(w http.ResponseWriter, r *http.Request, st *requestState, f *failure) error {
	return h.respondLoggedError(w, r, st, f, h.log(r, f))
}

// respondLoggedError is respondError for a failure that was logged before, under
// an id.
func (h *Handler) respondLoggedError(w http.ResponseWriter, r *http.Request, st *requestState, f *failure, id string) error {
	if h.Mode == modePublic {
		return pages.Redirect(w, http.StatusSeeOther, h.homeWithError(f.code))
	}
	return h.errorPage(w, r, st, http.StatusForbidden, f, id)
}

// respondLogoutError responds for the logout: it leads home on all sites.
func (h *Handler) respondLogoutError(w http.ResponseWriter, r *http.Request, f *failure) error {
	h.log(r, f)
	return pages.Redirect(w, http.StatusSeeOther, h.homeWithError(f.code))
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

// respondDisabled responds for a provider that is disabled, on all sites.
func (h *Handler) respondDisabled(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	f := &failure{code: errorcode.Forbidden, cause: errorcode.ErrDisabled, provider: p}
	return h.errorPage(w, r, st, http.StatusForbidden, f, h.log(r, f))
}

// respondStorageUnavailable responds to a private request whose user is not
// known, because keys, sessions or revocations cannot be read.
func (h *Handler) respondStorageUnavailable(w http.ResponseWriter, r *http.Request, st *requestState, err error) error {
	return h.respondUnavailable(w, r, st, storageRetryAfter, storageFailure(err))
}

// storageRetryAfter is the Retry-After while sessions, keys or revocations
// cannot be read: they are read again about every second.
const storageRetryAfter = 2 * time.Second

func storageFailure(err error) *failure {
	return &failure{code: errorcode.ProviderUnavailable, cause: fmt.Errorf("%w: %w", errorcode.ErrStorage, err)}
}

// respondUnavailable responds with 503 and Retry-After, in whole seconds.
func (h *Handler) respondUnavailable(w http.ResponseWriter, r *http.Request, st *requestState, after time.Duration, f *failure) error {
	seconds := max(1, int(math.Ceil(after.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	if s := h.cookieScope(r); s != nil {
		f.returnTo = h.returnToPage(s, r)
	}
	return h.errorPage(w, r, st, http.StatusServiceUnavailable, f, h.log(r, f))
}

// errorPage says what went wrong, to users as a page and to programs as a
// problem document, or leaves that to handle_errors.
func (h *Handler) errorPage(w http.ResponseWriter, r *http.Request, st *requestState, status int, f *failure, errorID string) error {
	pages.BaseSecurityHeaders(w.Header())
	st.failed = f
	text := errorcode.Explain(f.code, f.cause, status == http.StatusServiceUnavailable)
	shown := pages.Data{Title: text.Title, Message: text.Message, Hint: text.Hint, Code: string(f.code), ErrorID: errorID, Status: status}
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
		return pages.Problem{Detail: text.Message, Reason: string(f.code), LoginURL: shown.LoginURL, ErrorID: errorID}.Write(w, status)
	}
	if viewer := h.viewer(r, st); viewer != nil {
		shown.User = viewer.userID()
		shown.LoginURL = h.linkFor(status, shown.LoginURL, f)
	}
	return h.render(w, r, pages.Error, status, shown)
}

// linkFor returns what an error page offers to a user who is signed in: another
// account where that can help, or the page again where it was not available;
// never to sign in.
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

// respondKnownError shows the error that auth_error names, on a private page.
func (h *Handler) respondKnownError(w http.ResponseWriter, r *http.Request, st *requestState) error {
	name := queryErrorCodeOf(r)
	f := &failure{code: errorcode.Code(name), cause: errors.New("shown on a private page")}
	h.logger.Debug("a private page was opened with an error", zap.String("code", name))
	return h.errorPage(w, r, st, http.StatusForbidden, f, "")
}
