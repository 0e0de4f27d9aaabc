package mail

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func TestALetter(t *testing.T) {
	t.Parallel()
	user := &store.User{ID: "u1", Name: "alice", Email: "alice@example.net", EmailVerified: true, DisplayName: "Alice Adams", Language: "de-AT"}
	got, err := writer(t).Write(Letter{Kind: Reset, To: "alice@example.net", User: user, Link: "https://login.example.com/reset#abc", Code: "ABCD-EFGH", Until: noon})
	if err != nil {
		t.Fatal(err)
	}
	want := Message{To: "alice@example.net", Subject: "Ihr Passwort bei Example zurücksetzen", Body: `Guten Tag Alice Adams,

Jemand, wahrscheinlich Sie selbst, möchte das Passwort Ihres Kontos bei Example zurücksetzen.

Öffnen Sie diesen Link. Er gilt bis 2026-05-04 12:00 UTC.

https://login.example.com/reset#abc

Oder geben Sie diesen Code auf der Seite ein, die der Link öffnet:

ABCD-EFGH

Wenn Sie diese E-Mail nicht erwartet haben, ignorieren Sie sie. Es ändert sich dann nichts.

Hilfe erhalten Sie hier: the service desk

-- 
Diese E-Mail wurde von Example gesendet.
`}
	if got != want {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

func TestEveryKindHasItsTexts(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Reset, Invite, Enrol, Email, EmailChanged, PasswordChanged, FactorAdded, FactorRemoved, RecoveryUsed, RecoveryMade, Locked, Linked, Unlinked, OperatorReset} {
		for _, language := range []string{"en", "de", "fr", "es"} {
			m, err := writer(t).Write(Letter{Kind: kind, To: "a@example.net", User: alice, Language: language, Link: "https://l", Code: "c", Until: noon, At: noon, Name: "Phone", Provider: "Partners"})
			if err != nil {
				t.Errorf("%s in %s: %v", kind, language, err)
				continue
			}
			if strings.ContainsAny(m.Body+m.Subject, "{}") {
				t.Errorf("%s in %s: expected no placeholders, seen %s", kind, language, m.Body)
			}
			if notice := strings.Contains(m.Body, "https://login.example.com/account"); notice != kind.isNotice() {
				t.Errorf("%s in %s: expected the account page's address %v, seen %s", kind, language, kind.isNotice(), m.Body)
			}
		}
	}
}

// A mail to an unverified address contains no name. Otherwise an attacker could send text
// of their choice to anyone.
func TestAMailToAnUnknownAddressHasNoName(t *testing.T) {
	t.Parallel()
	user := &store.User{ID: "u1", Name: "win-a-prize", DisplayName: "Call 555 to win", Email: "mallory@evil.example", EmailVerified: true}
	for _, kind := range []Kind{Email, Invite, Reset} {
		m, err := writer(t).Write(Letter{Kind: kind, To: "victim@example.net", User: user, Link: "https://l"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m.Body, "win") || !strings.HasPrefix(m.Body, "Hello,\n") {
			t.Errorf("%s: expected no name, seen %s", kind, m.Body)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Alice Adams":                  "Alice Adams",
		"Alice A. Adams Jr.":           "Alice A. Adams Jr.",
		"  Alice\t\n Adams ":           "Alice Adams",
		"Alice\r\nBcc: b":              "Alice Bcc: b",
		"Alice\u2028Adams":             "Alice Adams",
		"Alice\u202eAdams":             "Alice Adams",
		"Alice\u200bAdams":             "Alice Adams",
		"http://evil.example":          "",
		"see evil.example now":         "",
		"evil.example":                 "",
		"evil。example":                 "",
		"mail me@evil":                 "",
		"<a>":                          "",
		`\\host`:                       "",
		strings.Repeat("ä", 64):        strings.Repeat("ä", 64),
		strings.Repeat("ä", 65):        strings.Repeat("ä", 63) + "…",
		strings.Repeat("a", 100) + ".": strings.Repeat("a", 63) + "…",
		"\xff\xfe":                     "",
		"版本 2.0":                       "版本 2.0",
	} {
		if got := Name(text); got != want {
			t.Errorf("%q: expected %q, seen %q", text, want, got)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"Alice Adams", "a\r\nb", "http://evil.example", "\u202e", "evil.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name := Name(text)
		if strings.ContainsFunc(name, isHidden) || strings.ContainsAny(name, "/@<>\r\n") || len([]rune(name)) > maxName {
			t.Errorf("%q: expected a short visible line, seen %q", text, name)
		}
		if again := Name(name); again != name {
			t.Errorf("%q: expected that %q stays, seen %q", text, name, again)
		}
	})
}
