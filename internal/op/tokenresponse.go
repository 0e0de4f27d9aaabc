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

// maxTokenLife caps what a provider says of an access token's life: no session
// lasts longer.
const maxTokenLife = 400 * 24 * time.Hour

// errAnswer marks an answer of the token endpoint that claims success and is
// none: distinct from one that could not be fetched.
var errAnswer = errors.New("the answer of the token endpoint")

// Oddity is a member of an answer that is there in a form that cannot be used.
// It counts as absent.
type Oddity struct {
	Member string
	// Found is what is there, cleaned: a kind of JSON value, or a short text.
	Found string
}

// tokenResponse is a successful answer of the token endpoint (RFC 6749 5.1, Core
// 3.1.3.3), read by what it is and not by its label.
type tokenResponse struct {
	accessToken, idToken, refreshToken string
	// notBearer says why the access token cannot be used, by its token_type.
	notBearer error
	bound     bool          // its token_type is that of DPoP
	expiresIn time.Duration // zero if it is not said
	scope     string        // what was granted, where it is said as a text or a list
	scopeSaid bool          // the answer has a scope
	odd       []Oddity
}

// readTokens reads an answer. One that is an error, by its status or by an error
// member, is a Refusal; that is judged before all else. Members that a login
// need not have never fail it, whatever their form.
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
		t.bound = err == nil && strings.EqualFold(kind, dpop.Header) // the type is called as the header (RFC 9449 5)
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

// standard is the answer as x/oauth2 reads it.
func (t *tokenResponse) standard() []byte {
	text, _ := json.Marshal(map[string]string{
		"access_token": t.accessToken, "token_type": "Bearer", "id_token": t.idToken, "refresh_token": t.refreshToken,
	})
	return text
}

// isError reports whether an object with the status of a success says that
// something failed.
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

// readSeconds reads a number of seconds, or a text that is one, rounded down and
// capped. Absent, or null, is zero; what is there and cannot be a life is not ok.
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

// oddity says what is there under a name: its kind, and a number or a short text
// as it is.
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

// kindOf names the kind of a JSON value.
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
