package errorcode

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// The sets of codes and of reasons are public, so neither may change by accident.
func TestCodesAreAClosedSet(t *testing.T) {
	t.Parallel()
	for _, set := range []struct {
		name string
		seen []Code
		want []string
	}{
		{"error codes", Codes(), []string{
			"access_denied", "login_expired", "state_mismatch", "provider_error", "provider_unavailable", "token_exchange_failed", "userinfo_failed",
			"token_invalid", "user_unknown", "forbidden", "session_too_large", "logout_failed", "bad_request", "cookies_rejected",
		}},
		{"reasons", Reasons(), []string{"sign_in_required", "session_ended", "session_outdated", "invalid_token", "insufficient_scope", "insufficient_user_authentication"}},
	} {
		if got := fmt.Sprint(set.seen); got != fmt.Sprint(set.want) {
			t.Errorf("%s: expected %q, seen %s", set.name, set.want, got)
		}
	}
}

func TestEachCodeIsAWordWithASentence(t *testing.T) {
	t.Parallel()
	for _, c := range append(Codes(), Reasons()...) {
		if escaped := url.QueryEscape(string(c)); escaped != string(c) {
			t.Errorf("%s: in a query it is %s", c, escaped)
		}
		if !strings.HasSuffix(c.Message(), ".") {
			t.Errorf("%s: %q is no sentence", c, c.Message())
		}
		if title := c.row().title; strings.HasSuffix(title, ".") {
			t.Errorf("%s: the title %q ends like a sentence", c, title)
		}
	}
	for i, s := range situations {
		if s.title == "" {
			t.Errorf("situation %d: expected a title, seen none", i)
		}
		if !strings.HasSuffix(s.message, ".") {
			t.Errorf("situation %d: expected a sentence, seen %q", i, s.message)
		}
	}
}

func TestLookupKnowsErrorCodesOnly(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Code{
		"access_denied": AccessDenied, "cookies_rejected": CookiesRejected,
		"sign_in_required": "", "session_ended": "", "": "", "made_up": "", "ACCESS_DENIED": "", "access_denied ": "",
	} {
		if got, ok := Lookup(name); got != want || ok != (want != "") {
			t.Errorf("%q: expected %q, seen %q, %v", name, want, got, ok)
		}
	}
}

func TestWhatIsNoCodeSaysNothing(t *testing.T) {
	t.Parallel()
	if got := Code("made_up").Message(); got != "" {
		t.Errorf("expected no sentence, seen %q", got)
	}
	if want := (Explanation{Title: Text{"error.title", DefaultTitle}, Retry: true}); Explain("made_up", nil, false) != want {
		t.Errorf("expected %+v, seen %+v", want, Explain("made_up", nil, false))
	}
}

func TestCodesOfErrors(t *testing.T) {
	t.Parallel()
	unavailable := &op.UnavailableError{Err: errors.New("no such host")}
	for _, row := range []struct {
		err  error
		want Code
	}{
		{errors.New("something else"), ProviderError},
		{op.ErrPush, ProviderError},
		{unavailable, ProviderUnavailable},
		{fmt.Errorf("login: %w", unavailable), ProviderUnavailable},
		{fmt.Errorf("%w: %w", op.ErrToken, unavailable), ProviderUnavailable},
		{fmt.Errorf("%w: status 400", op.ErrExchange), TokenExchangeFailed},
		{fmt.Errorf("%w: status 500", op.ErrUserinfo), UserinfoFailed},
		{fmt.Errorf("%w: nonce", op.ErrToken), TokenInvalid},
	} {
		if got := Of(row.err); got != row.want {
			t.Errorf("%v: expected %s, seen %s", row.err, row.want, got)
		}
	}
}

func TestHowFailuresAreLogged(t *testing.T) {
	t.Parallel()
	other := errors.New("something else")
	for _, row := range []struct {
		code  Code
		cause error
		want  Logging
	}{
		{AccessDenied, other, Logging{Level: slog.LevelInfo, Refusal: true}},
		{StateMismatch, other, Logging{Level: slog.LevelWarn, Refusal: true}},
		{TokenInvalid, other, Logging{Level: slog.LevelError, Refusal: true}},
		{ProviderUnavailable, other, Logging{Level: slog.LevelError, Throttled: true}},
		{ProviderUnavailable, fmt.Errorf("%w: %w", ErrStorage, other), Logging{Level: slog.LevelError, Throttled: true}},
		{LogoutFailed, other, Logging{Level: slog.LevelError}},
		{BadRequest, other, Logging{Level: slog.LevelInfo, Refusal: true}},
		{BadRequest, ErrPlainHTTP, Logging{Level: slog.LevelError, Refusal: true}},
		{BadRequest, fmt.Errorf("login: %w", ErrFormPostPlainHTTP), Logging{Level: slog.LevelError, Refusal: true}},
		{Forbidden, ErrDisabled, Logging{Level: slog.LevelInfo, Refusal: true}},
		{"made_up", nil, Logging{Level: slog.LevelInfo, Refusal: true}},
	} {
		if got := Log(row.code, row.cause); got != row.want {
			t.Errorf("%s, %v: expected %+v, seen %+v", row.code, row.cause, row.want, got)
		}
	}
}

func TestWhatUsersReadAboutFailures(t *testing.T) {
	t.Parallel()
	settings := &op.UnavailableError{Err: &op.SettingsError{Err: errors.New("another issuer")}}
	title, unavailable := Text{"error.title", DefaultTitle}, Text{"error.unavailable", unavailableTitle}
	message := func(c Code) Text { return Text{"error." + string(c) + ".message", c.Message()} }
	cause := func(name, title, message, hint string, retry bool) Explanation {
		e := Explanation{Title: Text{"cause." + name + ".title", title}, Message: Text{"cause." + name + ".message", message}, Retry: retry}
		if hint != "" {
			e.Hint = Text{"cause." + name + ".hint", hint}
		}
		return e
	}
	storage := cause("storage", unavailableTitle, "This site cannot check sign-ins at the moment. Please try again soon.", "", true)
	for name, row := range map[string]struct {
		code        Code
		cause       error
		unavailable bool
		want        Explanation
	}{
		"a code with a title": {AccessDenied, nil, false, Explanation{Text{"error.access_denied.title", "Sign-in was cancelled"}, message(AccessDenied), Text{}, true}},
		"a code without one":  {TokenInvalid, errors.New("nonce"), false, Explanation{title, message(TokenInvalid), Text{}, true}},
		"a code with a hint":  {LoginExpired, nil, false, Explanation{title, message(LoginExpired), Text{"error.login_expired.hint", LoginExpired.row().hint}, true}},
		"an outage":           {ProviderUnavailable, nil, true, Explanation{unavailable, message(ProviderUnavailable), Text{}, true}},
		"an outage, 403":      {ProviderUnavailable, nil, false, Explanation{title, message(ProviderUnavailable), Text{}, true}},
		"a storage":           {ProviderUnavailable, fmt.Errorf("%w: disk full", ErrStorage), true, storage},
		"a storage, 403":      {LogoutFailed, ErrStorage, false, storage},
		"wrong settings": {ProviderUnavailable, settings, true, cause("settings", "Sign-in is not set up correctly", "This site's sign-in is not set up correctly.",
			"Waiting will not help. The operator of this site can find the reason in the log.", true)},
		"a disabled provider": {Forbidden, ErrDisabled, false, cause("disabled", "Sign-in is turned off", "This identity provider is turned off here.", "", false)},
		"plain HTTP":          {BadRequest, ErrPlainHTTP, false, cause("plain_http", notSafeTitle, notSafeMessage, notSafeHint, false)},
	} {
		if got := Explain(row.code, row.cause, row.unavailable); got != row.want {
			t.Errorf("%s: expected %+v, seen %+v", name, row.want, got)
		}
	}
}

// Situations may share a name only if they share their texts.
func TestEachTextHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	byName := make(map[string]Explanation)
	for i, s := range situations {
		if s.name == "" {
			t.Errorf("situation %d: expected a name, seen none", i)
		}
		if before, ok := byName[s.name]; ok && before != s.explain() {
			t.Errorf("%s: expected the texts %+v, seen %+v", s.name, before, s.explain())
		}
		byName[s.name] = s.explain()
	}
}

// The pages show the texts of the file. Logs and programs get those of the table.
func TestTheTableAndTheEnglishTextsAreTheSame(t *testing.T) {
	t.Parallel()
	const name = "../../pages/locales/en.json"
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(raw, &texts); err != nil {
		t.Fatal(err)
	}
	table := Texts()
	for key, want := range table {
		if texts[key] != want {
			t.Errorf("%s: expected the line %q: %q, seen %q", name, key, want, texts[key])
		}
	}
	for key := range texts {
		section, _, _ := strings.Cut(key, ".")
		if _, ok := table[key]; !ok && (section == "error" || section == "cause") {
			t.Errorf("%s: %q is in no row of the table", name, key)
		}
	}
}
