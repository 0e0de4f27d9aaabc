package pages

import (
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// usedText matches the keys of texts in templates and Go files.
var usedText = regexp.MustCompile(`"((?:button|user|chooser|confirm|continue|handover|signing_in|popup|session_ended|signed_out|still_signed_in)\.[a-z_]+)"`)

// Each text in the files is on a page, and each text on a page is in the files.
func TestTheFilesHaveTheTextsOfThePages(t *testing.T) {
	t.Parallel()
	used := errorcode.Texts()
	for _, pattern := range []string{"../../pages/*.html", "../flow/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range usedText.FindAllStringSubmatch(string(text), -1) {
				if strings.HasSuffix(found[1], ".html") || strings.HasSuffix(found[1], ".js") {
					continue
				}
				used[found[1]] = file
			}
		}
	}
	catalogue, err := locale.Read(builtin, "", os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	keys := catalogue.English().Keys()
	for _, key := range slices.Sorted(maps.Keys(used)) {
		if !slices.Contains(keys, key) {
			t.Errorf("locales/en.json: expected the text %q, which %s shows", key, used[key])
		}
	}
	for _, key := range keys {
		if used[key] == "" {
			t.Errorf("locales/en.json: no page shows the text %q", key)
		}
	}
}

// action and element match what is not text in a template. letters matches text.
var (
	action  = regexp.MustCompile(`\{\{.*?\}\}`)
	element = regexp.MustCompile(`<[^>]*>`)
	letters = regexp.MustCompile(`\pL{2,}`)
)

func TestTemplatesHaveNoTextsOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		text, err := fs.ReadFile(builtin, name)
		if err != nil {
			t.Fatal(err)
		}
		rest := element.ReplaceAllString(action.ReplaceAllString(string(text), ""), "")
		if found := letters.FindString(rest); found != "" {
			t.Errorf("%s: expected no text outside of locales, seen %q", name, found)
		}
	}
}

func TestPagesAreInALanguage(t *testing.T) {
	t.Parallel()
	templates := read(t, "")
	data := Data{TitleKey: "signed_out.title", Host: "app.example", LoginURL: "/login", HomeURL: "/"}
	for _, row := range []struct{ language, title, text, button string }{
		{"en", "<h1>Signed out</h1>", "<p>You are signed out of app.example. On", ">Sign in</a>"},
		{"de", "<h1>Abgemeldet</h1>", "<p>Sie sind von app.example abgemeldet. Wenn", ">Anmelden</a>"},
		{"fr", "<h1>Vous êtes déconnecté</h1>", "<p>Vous êtes déconnecté de app.example. Si", ">Se connecter</a>"},
		{"es", "<h1>Sesión cerrada</h1>", "<p>Se ha cerrado su sesión en app.example. Si", ">Iniciar sesión</a>"},
	} {
		seen := showIn(t, templates, row.language, http.MethodGet, SignedOut, data)
		for _, want := range []string{`<html lang="` + row.language + `" dir="ltr">`, row.title, row.text, row.button} {
			if body := seen.Body.String(); !strings.Contains(body, want) {
				t.Errorf("%s: expected %q, seen %s", row.language, want, body)
			}
		}
		if got := seen.Header().Get("Content-Language"); got != row.language {
			t.Errorf("Content-Language: expected %q, seen %q", row.language, got)
		}
		if got := seen.Header().Get("Vary"); got != "Accept-Language" {
			t.Errorf("%s: Vary: expected Accept-Language, seen %q", row.language, got)
		}
	}
}

func TestWhatUsersLookForStandsOut(t *testing.T) {
	t.Parallel()
	data := Data{TitleKey: "handover.title", User: "Ann & Bob", Provider: "Corp", Rule: "group = a", Site: "wiki.example", Host: "login.example"}
	for _, row := range []struct{ page, language, want string }{
		{Error, "en", "<p>You are signed in as <strong>Ann &amp; Bob</strong> at <strong>Corp</strong>.</p>"},
		{Error, "de", "<p>Sie sind bei <strong>Corp</strong> als <strong>Ann &amp; Bob</strong> angemeldet.</p>"},
		{Error, "fr", "<p>Vous ne remplissez pas cette condition\u00a0: <code>group = a</code></p>"},
		{Handover, "es", "<h1>¿Iniciar sesión en wiki.example?</h1>"},
		{Handover, "de", "<title>Bei wiki.example anmelden? · login.example</title>"},
	} {
		if body := showIn(t, read(t, ""), row.language, http.MethodGet, row.page, data).Body.String(); !strings.Contains(body, row.want) {
			t.Errorf("%s, %s: expected %q, seen %s", row.page, row.language, row.want, body)
		}
	}
}

// An operator's own templates may be older than the translations.
func TestOwnTemplatesWithoutLanguagesStayInEnglish(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		file, text string
		want       string
		translated bool
	}{
		"a page of the version before":   {SignedOut, `{{define "content"}}<p>{{.Title}}, bye</p>{{end}}`, "<p>Signed out, bye</p>", false},
		"a layout of the version before": {layout, `<html lang="en">{{template "content" .}}`, "<h1>Signed out</h1>", false},
		"a page with texts":              {SignedOut, `{{define "content"}}<p>{{.Title}}, {{.T "button.sign_in"}}</p>{{end}}`, "<p>Abgemeldet, Anmelden</p>", true},
		"a page that asks":               {SignedOut, `{{define "content"}}<p>{{if eq .Lang "de"}}Tschüs{{else}}Bye{{end}}</p>{{end}}`, "<p>Tschüs</p>", true},
		"a layout with a language":       {layout, `<html lang="{{ .Lang }}">{{template "content" .}}`, "<h1>Abgemeldet</h1>", true},
	} {
		folder := t.TempDir()
		write(t, folder, row.file, row.text)
		seen := showIn(t, read(t, folder), "de", http.MethodGet, SignedOut, Data{TitleKey: "signed_out.title"})
		if body := seen.Body.String(); !strings.Contains(body, row.want) {
			t.Errorf("%s: expected %q, seen %s", name, row.want, body)
		}
		if got := seen.Header().Get("Content-Language"); (got == "de") != row.translated {
			t.Errorf("%s: expected a translation %v, seen Content-Language %q", name, row.translated, got)
		}
	}
}

func TestAFolderAddsLanguages(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "locales"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, folder, "locales/ar.json", `{"button.sign_in": "تسجيل الدخول", "signed_out.message": "تم تسجيل خروجك من {host}."}`)
	write(t, folder, "locales/en.json", `{"own.support": "Write to {host}."}`)
	write(t, folder, SessionEnded, `{{define "content"}}{{.T "own.support"}}{{end}}`)
	templates := read(t, folder)
	data := Data{TitleKey: "signed_out.title", Host: "<b>", LoginURL: "/login"}
	body := showIn(t, templates, "ar", http.MethodGet, SignedOut, data).Body.String()
	for _, want := range []string{`<html lang="ar" dir="rtl">`, "من <bdi>&lt;b&gt;</bdi>.", "تسجيل الدخول</a>", "<h1>Signed out</h1>"} {
		if !strings.Contains(body, want) {
			t.Errorf("expected %q, seen %s", want, body)
		}
	}
	body = showIn(t, templates, "de", http.MethodGet, SessionEnded, data).Body.String()
	if want := "Write to &lt;b&gt;."; !strings.Contains(body, want) {
		t.Errorf("expected %q, seen %s", want, body)
	}
}

func TestMistakesInOwnTextsAreFound(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ file, text, want string }{
		"a template's text": {Confirm, `{{define "content"}}{{.T "button.sing_in"}}{{end}}`, `unknown text "button.sing_in": did you mean 'button.sign_in'?`},
		"a pair's half":     {Confirm, `{{define "content"}}{{.T "button.sign_in" "host"}}{{end}}`, `each name of a placeholder needs a value`},
		"a file's text":     {"locales/de.json", "{\n\"button.sing_in\": \"x\"}", `locales/de.json:2: unknown text "button.sing_in": did you mean 'button.sign_in'?`},
	} {
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "locales"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, folder, row.file, row.text)
		if _, err := Read(builtin, folder, os.ReadFile); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: expected …%q…, seen %v", name, row.want, err)
		}
	}
}

func TestVaryKeepsWhatItSaid(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]string{"Origin": "Origin, Accept-Language", "*": "*"} {
		recorder := httptest.NewRecorder()
		recorder.Header().Set("Vary", before)
		page, err := renderEnglish(read(t, ""), Error)
		if err != nil {
			t.Fatal(err)
		}
		if err := page.Write(recorder, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusForbidden); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(recorder.Header().Values("Vary"), ", "); got != want {
			t.Errorf("expected %q, seen %q", want, got)
		}
	}
}
