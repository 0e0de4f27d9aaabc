package oidcrp

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// code is what went wrong with a sign-in or a sign-out, from a closed set: it
// is the value of auth_error, and what the log and the pages say.
type errorCode string

const (
	accessDenied        errorCode = "access_denied"
	loginExpired        errorCode = "login_expired"
	stateMismatch       errorCode = "state_mismatch"
	providerError       errorCode = "provider_error"
	providerUnavailable errorCode = "provider_unavailable"
	tokenExchangeFailed errorCode = "token_exchange_failed"
	tokenInvalid        errorCode = "token_invalid"
	userinfoFailed      errorCode = "userinfo_failed"
	userUnknown         errorCode = "user_unknown"
	forbidden           errorCode = "forbidden"
	sessionTooLarge     errorCode = "session_too_large"
	logoutFailed        errorCode = "logout_failed"
	badRequest          errorCode = "bad_request"
	cookiesRejected     errorCode = "cookies_rejected"
)

// codes is the one list of them: what people read, and how loud the log is.
var errorCodes = map[errorCode]struct {
	message string
	level   zapcore.Level
}{
	accessDenied:        {"The sign-in was cancelled, or the identity provider did not allow it.", zap.InfoLevel},
	loginExpired:        {"This sign-in took too long or was already used. Please start again.", zap.InfoLevel},
	stateMismatch:       {"This answer does not belong to a sign-in that was begun in this browser. Please start again.", zap.WarnLevel},
	providerError:       {"The identity provider reported a problem with this sign-in.", zap.WarnLevel},
	providerUnavailable: {"The identity provider cannot be reached at the moment. Please try again soon.", zap.ErrorLevel},
	tokenExchangeFailed: {"The identity provider did not confirm this sign-in.", zap.ErrorLevel},
	tokenInvalid:        {"The identity provider's confirmation could not be trusted.", zap.ErrorLevel},
	userinfoFailed:      {"The identity provider did not tell who you are.", zap.ErrorLevel},
	userUnknown:         {"Your account is not known here.", zap.InfoLevel},
	forbidden:           {"Your account may not see this page.", zap.InfoLevel},
	sessionTooLarge:     {"Your account carries more information than this site can keep.", zap.ErrorLevel},
	logoutFailed:        {"You are signed out in this browser, but the sign-out could not be completed everywhere.", zap.ErrorLevel},
	badRequest:          {"This request was not understood.", zap.InfoLevel},
	cookiesRejected:     {"Your browser does not keep this site's cookies, so you cannot stay signed in.", zap.WarnLevel},
}

// messageOf returns the sentence that users read for an error code, or nothing for
// what is no code.
func messageOf(name string) string { return errorCodes[errorCode(name)].message }

// queryErrorCodeOf is what auth_error in a request's query names, if it is one of
// our codes.
func queryErrorCodeOf(r *http.Request) string {
	if !strings.Contains(originalURL(r).RawQuery, "auth_error=") {
		return ""
	}
	if name := queryOf(r, "auth_error").Get("auth_error"); messageOf(name) != "" {
		return name
	}
	return ""
}

var (
	errNoEndpoint        = errors.New("no such endpoint")
	errWrongMethod       = errors.New("wrong method for this endpoint")
	errEarlyData         = errors.New("not in TLS early data")
	errNoHost            = errors.New("the request names no host")
	errDisabled          = errors.New("this identity provider is disabled")
	errStorage           = errors.New("the storage does not answer")
	errSettings          = errors.New("the settings are wrong") // stands for a provider.SettingsError
	errFormPostPlainHTTP = errors.New("response_mode form_post needs a cookie that browsers keep over HTTPS only: set base_url https://… or trusted_proxies if a proxy in front has TLS, else serve this site over HTTPS")
	errPlainHTTP         = errors.New("this site is served over plain HTTP: set base_url https://… or trusted_proxies if a proxy in front has TLS, else serve it over HTTPS, or allow cookies on plain HTTP with session { cookie { insecure } }")
)

// situation is a cause that deserves other words than its code has.
type situation struct {
	cause                error
	title, message, hint string
	noLogin              bool // a fresh start would not help
}

func (s *situation) is(cause error) bool {
	if s.cause == errSettings {
		var wrong *op.SettingsError
		return errors.As(cause, &wrong)
	}
	return errors.Is(cause, s.cause)
}

var situations = []situation{
	{cause: errDisabled, title: "Sign-in is switched off", message: "This identity provider is switched off here.", noLogin: true},
	{cause: errNoEndpoint, title: "There is no such page", message: "This address has a mistake in it, or is no longer in use.", noLogin: true},
	{cause: errWrongMethod, title: "This cannot be sent here", message: "This page does not accept that kind of request.", noLogin: true},
	{cause: errForeignWebsocket, title: "Not from this page", message: "A page of another site may not open a WebSocket here.", noLogin: true},
	{cause: errSettings, title: "Sign-in is not set up correctly", message: "This site's sign-in is not set up correctly.",
		hint: "Waiting does not help. The operator of this site can find the reason in the log."},
	{cause: errStorage, title: "Not available at the moment", message: "This site cannot check sign-ins at the moment. Please try again soon."},
	{cause: errFormPostPlainHTTP, title: "Sign-in is not possible yet", message: "Sign-in is not possible on this site yet.",
		hint: "It is served over plain HTTP, where a sign-in would not be safe. The log tells its operator what to do.", noLogin: true},
	{cause: errPlainHTTP, title: "Sign-in is not possible yet", message: "Sign-in is not possible on this site yet.",
		hint: "It is served over plain HTTP, where a sign-in would not be safe. The log tells its operator what to do.", noLogin: true},
}

// failure is a sign-in or sign-out that did not work.
type failure struct {
	code     errorCode
	cause    error
	provider *provider
	// returnTo is where a fresh start is to lead.
	returnTo string
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.code, f.cause) }
func (f *failure) Unwrap() error { return f.cause }

// errorCodeOf finds the code for an error of the provider package.
func errorCodeOf(err error) errorCode {
	var unavailable *op.UnavailableError
	switch {
	case errors.As(err, &unavailable):
		return providerUnavailable
	case errors.Is(err, op.ErrExchange):
		return tokenExchangeFailed
	case errors.Is(err, op.ErrUserinfo):
		return userinfoFailed
	case errors.Is(err, op.ErrToken):
		return tokenInvalid
	}
	return providerError
}

// outageEvery is how often an outage is told aloud: every page load meets it.
const outageEvery = 10 * time.Second

// log writes the one line about a failure and returns the id that its page
// shows, or none if nothing was written.
func (h *Handler) log(r *http.Request, f *failure) (id string) {
	level := errorCodes[f.code].level
	if errors.Is(f.cause, errPlainHTTP) || errors.Is(f.cause, errFormPostPlainHTTP) {
		level = zap.ErrorLevel // nobody can sign in, whoever asks
	}
	if f.code == providerUnavailable {
		now := h.now().UnixNano()
		last := h.outageLogged.Load()
		if now-last < int64(outageEvery) && now >= last || !h.outageLogged.CompareAndSwap(last, now) {
			level = zap.DebugLevel
		}
	}
	if f.code != providerUnavailable && f.code != logoutFailed {
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
