package op

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// maxTokenLife limits the lifetime of access tokens: no session lasts longer.
const maxTokenLife = 400 * 24 * time.Hour

// errAnswer means that the token endpoint responded with a success that is not
// valid.
var errAnswer = errors.New("the answer of the token endpoint")

// Oddity is a member of a response that is ignored because of its form.
type Oddity struct {
	Member string
	// Found is the sanitized value: a kind of JSON value, or a short text.
	Found string
}

// tokenResponse is a successful response of the token endpoint (RFC 6749, section
// 5.1; OpenID Connect Core 3.1.3.3), whatever its Content-Type.
type tokenResponse struct {
	accessToken, idToken, refreshToken string
	// notBearer is why the token_type makes the access token unusable; nil if it does not.
	notBearer error
	bound     bool          // whether token_type is DPoP
	expiresIn time.Duration // zero if unknown
	scope     string        // the granted scope, if it is a string or a list
	scopeSaid bool          // whether the response has a scope
	odd       []Oddity
}

// readTokens parses a response. If it is an error, by its status or an error
// member, it returns a Refusal. Members that a login does not require never fail
// it.
func readTokens(a *httpResponse) (*tokenResponse, error) {
	o, err := parseObject(a.body)
	switch {
	case a.status/100 != 2:
		return nil, a.refusal()
	case err == nil && o.isError():
		return nil, a.refusal()
	case a.status != http.StatusOK:
		return nil, a.because(fmt.Errorf("%w has the status %d", errAnswer, a.status))
	case err != nil:
		return nil, a.because(fmt.Errorf("%w %w", errAnswer, err))
	}
	t := new(tokenResponse)
	for name, field := range map[string]*string{"access_token": &t.accessToken, "id_token": &t.idToken} {
		if *field, err = o.text(name); err != nil {
			return nil, a.because(fmt.Errorf("%w: %w", errAnswer, err))
		}
	}
	if t.accessToken == "" {
		return nil, a.because(fmt.Errorf("%w has no access_token", errAnswer))
	}
	if t.refreshToken, err = o.text("refresh_token"); err != nil {
		t.odd = append(t.odd, oddity(o, "refresh_token"))
	}
	if kind, err := o.text("token_type"); err != nil || !strings.EqualFold(kind, "bearer") {
		t.bound = err == nil && strings.EqualFold(kind, dpop.Header) // the type has the name of the header (RFC 9449, section 5)
		t.notBearer = fmt.Errorf("%w has the token_type %s, not Bearer", errAnswer, oddity(o, "token_type").Found)
	}
	granted, _ := o.texts("scope", true)
	t.scope, t.scopeSaid = strings.Join(granted, " "), o.has("scope")
	var ok bool
	if t.expiresIn, ok = readSeconds(o["expires_in"]); !ok {
		t.odd = append(t.odd, oddity(o, "expires_in"))
	}
	return t, nil
}

// standard returns the response in a form that x/oauth2 accepts.
func (t *tokenResponse) standard() []byte {
	text, _ := json.Marshal(map[string]string{
		"access_token": t.accessToken, "token_type": "Bearer", "id_token": t.idToken, "refresh_token": t.refreshToken,
	})
	return text
}

// isError reports whether an object with a success status nevertheless reports an
// error.
func (o object) isError() bool {
	for _, name := range []string{"error", "errors"} {
		switch strings.Join(strings.Fields(string(o[name])), "") {
		case "", "null", `""`, "false", "0", "[]", "{}":
		default:
			return true
		}
	}
	return false
}

var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// readSeconds parses a number of seconds, which may be in a string. It is rounded
// down and limited to maxTokenLife. It is zero for an absent member or null. ok is
// false if the value is not valid.
func readSeconds(raw json.RawMessage) (life time.Duration, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, true
	}
	text := string(raw)
	if raw[0] == '"' && json.Unmarshal(raw, &text) != nil {
		return 0, false
	}
	if text = strings.TrimSpace(text); !decimal.MatchString(text) {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	if seconds = math.Floor(seconds); seconds <= 0 {
		return 0, false
	}
	if seconds >= maxTokenLife.Seconds() {
		return maxTokenLife, true
	}
	return time.Duration(seconds) * time.Second, true
}

// oddity describes a member: its kind, and a number or short text as it is.
func oddity(o object, name string) Oddity {
	raw := o[name]
	switch {
	case len(raw) == 0:
		return Oddity{name, "(absent)"}
	case raw[0] == '{' || raw[0] == '[' || len(raw) > 32 || name == "refresh_token":
		return Oddity{name, kindOf(raw)}
	}
	return Oddity{name, logtext.Clean(string(raw), 40)}
}

// kindOf returns the name of the kind of a JSON value.
func kindOf(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case raw[0] == '"':
		return "a string"
	case raw[0] == 't' || raw[0] == 'f':
		return "true or false"
	case raw[0] == 'n':
		return "null"
	}
	return "a number"
}
