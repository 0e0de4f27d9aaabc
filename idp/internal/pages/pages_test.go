package pages

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const issuer = "https://login.example.com"

func read(t *testing.T, o Options) *Pages {
	t.Helper()
	o.Issuer = issuer
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// show renders a page for a browser that prefers a language.
func show(t *testing.T, p *Pages, language string, page Page) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	p.Render(w, r, http.StatusOK, page)
	return w
}

func TestEveryPageIsRenderedInEveryLanguage(t *testing.T) {
	t.Parallel()
	p := read(t, Options{Contact: "the service desk"})
	for _, language := range p.options.Texts.Tags() {
		for _, page := range Samples() {
			seen := show(t, p, language, page)
			if seen.Code != http.StatusOK {
				t.Errorf("%s in %s: expected status 200, seen %d", page.Template(), language, seen.Code)
			}
			if want := `<html lang="` + language + `" dir="ltr">`; !strings.Contains(seen.Body.String(), want) {
				t.Errorf("%s in %s: expected %q, seen %s", page.Template(), language, want, seen.Body)
			}
			if got := seen.Header().Get("Content-Language"); got != language {
				t.Errorf("%s: expected Content-Language %q, seen %q", page.Template(), language, got)
			}
		}
	}
}

func TestEveryTemplateHasASample(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{layout: true, "parts.html": true}
	for _, page := range Samples() {
		seen[page.Template()+".html"] = true
	}
	files, err := builtin.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !seen[file.Name()] {
			t.Errorf("%s: expected a sample, seen none", file.Name())
		}
	}
}

func TestUILocalesComeBeforeWhatTheBrowserPrefers(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	seen := show(t, p, "fr", &SignedOut{Common: Common{UILocales: []string{"xx", "de-AT"}}})
	if got := seen.Header().Get("Content-Language"); got != "de" {
		t.Errorf("expected German, seen %q", got)
	}
}

func TestPagesHaveSecurityHeaders(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	style, script := issuer+p.assets.url("style.css"), issuer+p.assets.url("passkey.js")
	for name, row := range map[string]struct {
		page   Page
		policy string
	}{
		"a page":              {&SignedOut{}, "default-src 'none'; style-src " + style + "; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"},
		"a page with passkey": {&UserName{Passkey: &Passkey{}}, "default-src 'none'; style-src " + style + "; img-src 'self'; script-src " + script + "; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"},
		"a form that leaves":  {&FormPost{Action: "https://wiki.example.net/cb", Origin: "https://wiki.example.net"}, "default-src 'none'; style-src " + style + "; img-src 'self'; script-src " + issuer + p.assets.url("submit.js") + "; form-action 'self' https://wiki.example.net; frame-ancestors 'none'; base-uri 'none'"},
	} {
		header := show(t, p, "en", row.page).Header()
		for field, want := range map[string]string{
			"Content-Security-Policy": row.policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Vary": "Accept-Language",
		} {
			if got := header.Get(field); got != want {
				t.Errorf("%s: %s: expected %q, seen %q", name, field, want, got)
			}
		}
		if got := header.Get("Permissions-Policy"); !strings.Contains(got, "publickey-credentials-get=(self)") {
			t.Errorf("%s: expected passkeys to be permitted, seen %q", name, got)
		}
	}
}

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script>`
	p := read(t, Options{Name: hostile, Contact: hostile})
	hidden := Common{App: hostile, Hidden: map[string]string{hostile: hostile}, Problems: []Problem{{hostile, Text{"failure.min_length", map[string]string{"min": hostile}}}}}
	for _, page := range []Page{
		&UserName{Common: hidden, Action: "javascript:alert(1)", Value: hostile, Externals: []External{{hostile, hostile}}, Passkey: &Passkey{Options: []byte(hostile), Action: hostile}},
		&Password{Common: hidden, User: hostile, OtherURL: "javascript:alert(1)", ResetURL: hostile, Code: true},
		&Chooser{Common: hidden, User: hostile, Name: hostile, External: hostile},
		&EnrolCode{Common: hidden, Kind: "totp", Secret: hostile, URI: "otpauth://totp/" + hostile, Label: hostile, Cancel: "javascript:alert(1)"},
		&RecoveryCodes{Codes: []string{hostile}},
		&Error{Key: "expired", Code: hostile, Detail: hostile, Link: "javascript:alert(1)", LinkKey: "button.retry"},
		&FormPost{Action: "javascript:alert(1)", Fields: map[string]string{hostile: hostile}},
		&Account{Common: hidden, User: hostile, Name: hostile, Email: hostile, Factors: []AccountFactor{{ID: hostile, Kind: "totp", Label: hostile}}, Sessions: []AccountSession{{ID: hostile, UserAgent: hostile, Address: hostile}}},
	} {
		body := show(t, p, "en", page).Body.String()
		if strings.Contains(body, "<script>") {
			t.Errorf("%s: expected no script, seen %s", page.Template(), body)
		}
		if strings.Contains(body, `"javascript:`) {
			t.Errorf("%s: expected no address that is a script, seen %s", page.Template(), body)
		}
	}
}

func TestAFormIsFollowedByAPageThatGoesOn(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	for name, row := range map[string]struct {
		method, address, userAgent, mode string
		status                           int
	}{
		"a form of a browser":         {"POST", "https://wiki.example.net/cb?code=a&state=b", "", "navigate", 200},
		"a form of an older browser":  {"POST", "https://wiki.example.net/cb?code=a&state=b", "Mozilla/5.0", "", 200},
		"a form of a program":         {"POST", "https://wiki.example.net/cb?code=a&state=b", "Go-http-client/1.1", "", 303},
		"a link":                      {"GET", "https://wiki.example.net/cb?code=a&state=b", "Mozilla/5.0", "navigate", 303},
		"a form that leads on here":   {"POST", "/signin/password", "Mozilla/5.0", "navigate", 303},
		"a form that seems to stay":   {"POST", "//wiki.example.net/cb", "Mozilla/5.0", "navigate", 200},
		"a form to a longer host":     {"POST", issuer + ".evil.example/", "Mozilla/5.0", "navigate", 200},
		"a form to the whole address": {"POST", issuer + "/account", "Mozilla/5.0", "navigate", 303},
	} {
		r := httptest.NewRequest(row.method, "/signin/password", nil)
		r.Header.Set("User-Agent", row.userAgent)
		r.Header.Set("Sec-Fetch-Mode", row.mode)
		w := httptest.NewRecorder()
		p.Redirect(w, r, row.address)
		if w.Code != row.status {
			t.Errorf("%s: expected status %d, seen %d", name, row.status, w.Code)
		}
		if w.Code == 303 && w.Header().Get("Location") != row.address {
			t.Errorf("%s: expected Location %q, seen %q", name, row.address, w.Header().Get("Location"))
		}
		if want := `content="0; url=` + strings.ReplaceAll(row.address, "&", "&amp;") + `"`; w.Code == 200 && !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: expected %s, seen %s", name, want, w.Body)
		}
	}
}

func TestAFolderReplacesPagesStylesAndTexts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "signedout.html", `{{define "content"}}<p>ours: {{.T "signedout.message"}} {{.T "own.bye"}}</p>{{end}}`)
	write(t, folder, "style.css", `body { color: red }`)
	write(t, folder, "locales/en.json", `{"signedout.message": "You have left.", "own.bye": "Bye."}`)
	p := read(t, Options{Folder: folder})
	if body := show(t, p, "en", &SignedOut{}).Body.String(); !strings.Contains(body, "<p>ours: You have left. Bye.</p>") {
		t.Errorf("expected the operator's page, seen %s", body)
	}
	if body := show(t, p, "en", NotFound()).Body.String(); !strings.Contains(body, "There is no such page") {
		t.Errorf("expected the built-in page, seen %s", body)
	}
	w := httptest.NewRecorder()
	p.ServeAsset(w, httptest.NewRequest(http.MethodGet, p.assets.url("style.css"), nil))
	if w.Body.String() != `body { color: red }` {
		t.Errorf("expected the operator's styles, seen %s", w.Body)
	}
}

func TestMistakesInAFolderAreFound(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ file, text, want string }{
		"not closed":        {"error.html", `{{define "content"}}{{if}`, "pages: error.html: "},
		"an unknown field":  {"confirm.html", `{{define "content"}}{{.Page.Unknown}}{{end}}`, "pages: confirm.html: "},
		"a template's text": {"confirm.html", `{{define "content"}}{{.T "button.sing_in"}}{{end}}`, "did you mean 'button.sign_in'?"},
		"a file's text":     {"locales/de.json", "{\n\"button.sing_in\": \"x\"}", "locales/de.json:2: unknown text"},
	} {
		folder := t.TempDir()
		write(t, folder, row.file, row.text)
		if _, err := New(Options{Issuer: issuer, Folder: folder}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: expected …%s…, seen %v", name, row.want, err)
		}
	}
}

func TestLanguagesCanBeLimited(t *testing.T) {
	t.Parallel()
	texts, err := Texts("", []string{"de", "fr"})
	if err != nil {
		t.Fatal(err)
	}
	p := read(t, Options{Texts: texts})
	for browser, want := range map[string]string{"en": "de", "fr-CA": "fr", "": "de", "es, fr;q=0.5": "fr"} {
		if got := show(t, p, browser, &SignedOut{}).Header().Get("Content-Language"); got != want {
			t.Errorf("a browser that prefers %q: expected %s, seen %s", browser, want, got)
		}
	}
	if _, err := Texts("", []string{"de", "xx"}); err == nil || !strings.Contains(err.Error(), `"xx"`) {
		t.Errorf("expected an error about xx, seen %v", err)
	}
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
