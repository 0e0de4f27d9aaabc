package oidcrp

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// code is what went wrong with a sign-in or a sign-out, from a closed set: it
// is the value of auth_error, and what the log and the pages say.
type code string

const (
	accessDenied        code = "access_denied"
	loginExpired        code = "login_expired"
	stateMismatch       code = "state_mismatch"
	providerError       code = "provider_error"
	providerUnavailable code = "provider_unavailable"
	tokenExchangeFailed code = "token_exchange_failed"
	tokenInvalid        code = "token_invalid"
	userinfoFailed      code = "userinfo_failed"
	userUnknown         code = "user_unknown"
	forbidden           code = "forbidden"
	sessionTooLarge     code = "session_too_large"
	logoutFailed        code = "logout_failed"
	badRequest          code = "bad_request"
)

// codes is the one list of them: what people read, and how loud the log is.
var codes = map[code]struct {
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
}

func messageOf(name string) string { return codes[code(name)].message }

// errorCodeOf is what auth_error in a request's query names, if it is one of
// our codes.
func errorCodeOf(r *http.Request) string {
	query := originalURL(r).RawQuery
	if !strings.Contains(query, "auth_error=") {
		return ""
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	if name := values.Get("auth_error"); messageOf(name) != "" {
		return name
	}
	return ""
}

var (
	errNoEndpoint  = errors.New("no such endpoint")
	errWrongMethod = errors.New("wrong method for this endpoint")
	errEarlyData   = errors.New("not in TLS early data")
	errNoHost      = errors.New("the request names no host")
	errDisabled    = errors.New("this identity provider is disabled")
	errPlainHTTP   = errors.New("this site is served over plain HTTP: serve it over HTTPS, or name its https base_url if a proxy that is not trusted does, or allow cookies on plain HTTP with session { cookie { insecure } }")
)

// failure is a sign-in or sign-out that did not work.
type failure struct {
	code  code
	cause error
	party *party
	// returnTo is where a fresh start is to lead.
	returnTo string
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.code, f.cause) }
func (f *failure) Unwrap() error { return f.cause }

// codeOf finds the code for an error of the provider package.
func codeOf(err error) code {
	var unavailable *provider.Unavailable
	switch {
	case errors.As(err, &unavailable):
		return providerUnavailable
	case errors.Is(err, provider.ErrExchange):
		return tokenExchangeFailed
	case errors.Is(err, provider.ErrUserinfo):
		return userinfoFailed
	case errors.Is(err, provider.ErrToken):
		return tokenInvalid
	}
	return providerError
}

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

// log writes the one line about a failure and returns the id that its page
// shows.
func (h *Handler) log(r *http.Request, f *failure) (id string) {
	var random [4]byte
	rand.Read(random[:])
	id = hex.EncodeToString(random[:])
	if entry := h.logger.Check(codes[f.code].level, "sign-in or sign-out did not work"); entry != nil {
		name := ""
		if f.party != nil {
			name = f.party.id
		}
		client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
		entry.Write(zap.String("code", string(f.code)), zap.String("provider", name), zap.Error(f.cause),
			zap.String("error_id", id), zap.String("client_ip", client), zap.String("host", r.Host))
	}
	return id
}

// disabled answers for a provider that is switched off, on all sites.
func (h *Handler) disabled(w http.ResponseWriter, r *http.Request, v *visit, p *party) error {
	f := &failure{code: forbidden, cause: errDisabled, party: p}
	return h.errorPage(w, r, v, http.StatusForbidden, f, h.log(r, f))
}

// unavailable answers a private request of which nobody can say whose it is.
func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, v *visit, err error) error {
	what := "the session keys cannot be read"
	if errors.Is(err, session.ErrFactsUnknown) {
		what = "the logouts cannot be read"
	}
	h.logger.Error(what, zap.Error(err))
	return h.retryLater(w, r, v, time.Second*5, &failure{code: providerUnavailable, cause: errors.New(what)})
}

// retryLater is a 503: the page is not open, and a moment later it may be.
func (h *Handler) retryLater(w http.ResponseWriter, r *http.Request, v *visit, after time.Duration, f *failure) error {
	seconds := max(1, int(math.Ceil(after.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	f.returnTo = returnOf(r)
	return h.errorPage(w, r, v, http.StatusServiceUnavailable, f, h.log(r, f))
}

// challenge answers who is not signed in and does not open a page: a login
// would serve nothing here.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request, v *visit) error {
	header := w.Header()
	secureHeaders(header)
	header.Set("WWW-Authenticate", `Bearer realm="`+quotable(r.Host)+`"`)
	if h.ErrorPages == "caddy" {
		return caddyhttp.Error(http.StatusUnauthorized, errors.New("sign-in needed"))
	}
	reason := "sign_in_required"
	if hasCookie := w.Header()["Set-Cookie"]; len(hasCookie) > 0 {
		reason = "session_ended"
	}
	return problem(w, http.StatusUnauthorized, map[string]string{
		"type": "about:blank", "title": "Unauthorized",
		"detail": "This address is for signed-in users.", "reason": reason,
		"login_url": h.loginURL(h.defaultParty, ""),
	})
}

// quotable makes a text safe for a quoted string in a header (RFC 9110 5.6.4).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
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
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}
