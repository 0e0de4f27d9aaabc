package op

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// Refusal is a provider's response that reports a failure, by its status or in
// words. The words are foreign: they are shortened, sanitized, and do not contain
// what we sent. They are for fields of log lines only. Error repeats only the code,
// if it has the usual form.
type Refusal struct {
	// Status is the HTTP status; zero if the response came through the browser.
	Status int
	// Code is the error code (RFC 6749, sections 4.1.2.1 and 5.2).
	Code string
	// Description and URI are error_description and error_uri.
	Description, URI string
	// Message is what else the response says: a message, several of them, or the
	// beginning of a body that is not JSON.
	Message string
	// RetryAfter is the provider's Retry-After.
	RetryAfter time.Duration
	// Err, if set, is what we found wrong with the response.
	Err error
}

func (e *Refusal) Error() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Status == 0:
		return fmt.Sprintf("the provider answered %q", SafeCode(e.Code))
	}
	return fmt.Sprintf("status %d, error %q", e.Status, SafeCode(e.Code))
}

func (e *Refusal) Unwrap() error { return e.Err }

// NewRefusal returns the Refusal of an authorization response. Secrets are removed
// from its words.
func NewRefusal(code, description, uri string, secrets ...string) *Refusal {
	e := &Refusal{Code: code, Description: description, URI: uri}
	e.clean(secrets)
	return e
}

// RefusedLogin is NewRefusal, wrapped in a SettingsError if the code means that the
// client is misconfigured.
func RefusedLogin(code, description, uri string, secrets ...string) error {
	return judged(NewRefusal(code, description, uri, secrets...), code)
}

// Limits of the words, in bytes.
const (
	maxDescription = 512
	// maxRead is how much of each member is looked at, before secrets are removed.
	maxRead = 8 << 10
)

var (
	// secretMember matches members of a body that would be secrets of the user.
	secretMember = regexp.MustCompile(`(?i)((?:access|refresh|id|logout)_?token|client_?secret|client_?assertion|code_?verifier|password|passwd)(["']?\s*[:=]\s*["']?)[^\s"'&<>,;}]+`)
	// compactToken matches signed and encrypted tokens.
	compactToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)+`)
)

func (e *Refusal) clean(secrets []string) {
	if !slices.Contains(standardCodes, e.Code) { // a standard code is kept even if it contains a weak secret
		e.Code = cleanWord(e.Code, logtext.MaxName, secrets)
	}
	for _, word := range []struct {
		text *string
		max  int
	}{{&e.Description, maxDescription}, {&e.URI, logtext.MaxName}, {&e.Message, maxDescription}} {
		*word.text = cleanWord(*word.text, word.max, secrets)
	}
}

// standardCodes are the error codes of RFC 6749, RFC 6750, RFC 7009, RFC 9449 and
// OpenID Connect Core.
var standardCodes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable",
	"invalid_token", "insufficient_scope", "unsupported_token_type", "invalid_dpop_proof", "use_dpop_nonce",
	"interaction_required", "login_required", "account_selection_required", "consent_required",
	"invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported", "registration_not_supported",
}

func cleanWord(text string, max int, secrets []string) string {
	if len(text) > maxRead {
		text = text[:maxRead]
	}
	text = logtext.Redact(text, secrets...)
	text = compactToken.ReplaceAllString(text, "[redacted]")
	text = secretMember.ReplaceAllString(text, "$1$2[redacted]")
	return logtext.Clean(text, max)
}

// httpResponse is a response of the back channel with its whole body.
type httpResponse struct {
	status int
	header http.Header
	body   []byte
	// secrets are the secrets in the request.
	secrets []string
}

// refusal returns what the response says about a failure.
func (a *httpResponse) refusal() *Refusal {
	e := readWords(a.header.Get("Content-Type"), a.body, a.status/100 == 2)
	challenge := readChallenge(a.header.Values("WWW-Authenticate"))
	for _, word := range []struct{ text, other *string }{
		{&e.Code, &challenge.Code}, {&e.Description, &challenge.Description}, {&e.URI, &challenge.URI},
	} {
		if *word.text == "" {
			*word.text = *word.other
		}
	}
	e.Status = a.status
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	e.clean(a.secrets)
	return e
}

// because returns a Refusal with our own error and the provider's words.
func (a *httpResponse) because(err error) *Refusal {
	e := a.refusal()
	e.Err = err
	return e
}

// secretParameters are the request parameters that must not be repeated in a log.
var secretParameters = []string{
	"code", "code_verifier", "client_secret", "client_assertion", "refresh_token", "token", "access_token", "state", "nonce", "id_token_hint",
}

// secretsOf returns the secrets of a request, in its form and in Authorization.
func secretsOf(header http.Header, form url.Values) (secrets []string) {
	for _, name := range secretParameters {
		secrets = append(secrets, form[name]...)
	}
	scheme, credentials, _ := strings.Cut(header.Get("Authorization"), " ")
	secrets = append(secrets, credentials, header.Get(dpop.Header))
	if _, password, ok := (&http.Request{Header: header}).BasicAuth(); ok && strings.EqualFold(scheme, "basic") {
		plain, _ := url.QueryUnescape(password)
		secrets = append(secrets, password, plain)
	}
	return secrets
}

// isSettings reports whether an error code means that the client is misconfigured,
// here or at the provider.
func isSettings(code string) bool {
	switch code {
	case "invalid_client", "unauthorized_client", "unsupported_grant_type", "unsupported_response_type", "invalid_scope":
		return true
	}
	return false
}

// judged wraps err in a SettingsError if the code means that the client is
// misconfigured.
func judged(err error, code string) error {
	if isSettings(code) {
		return &SettingsError{err}
	}
	return err
}
