package pages

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// builtin has the templates of the plugin.
var builtin = os.DirFS("../../pages")

func read(t *testing.T, folder string) *Templates {
	t.Helper()
	templates, err := Read(builtin, folder, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return templates
}

// renderEnglish renders a page without data of a request.
func renderEnglish(templates *Templates, name string) (*Page, error) {
	return templates.Render(name, templates.texts.English(), Data{})
}

// show renders a page and writes it.
func show(t *testing.T, templates *Templates, method, name string, data Data) *httptest.ResponseRecorder {
	t.Helper()
	return showIn(t, templates, "", method, name, data)
}

// showIn is like show, in the given language.
func showIn(t *testing.T, templates *Templates, language, method, name string, data Data) *httptest.ResponseRecorder {
	t.Helper()
	page, err := templates.Render(name, templates.Choose(language, nil), data)
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	if err := page.Write(recorder, httptest.NewRequest(method, "/", nil), http.StatusForbidden); err != nil {
		t.Fatal(err)
	}
	return recorder
}

func TestEveryTemplateIsOnTheList(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(builtin, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(names)+1 {
		t.Errorf("expected the files %q and %s, seen %q", names, layout, files)
	}
}

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script>`
	data := Data{
		TitleKey: "handover.title", Host: hostile, MessageKey: "popup.message", HintKey: "confirm.login_host", Code: hostile, ErrorID: hostile,
		User: hostile, Provider: hostile, Rule: hostile, Site: hostile, LoginHost: hostile, Confirmation: hostile, Sought: true, Status: http.StatusForbidden,
		Action: "javascript:alert(1)", Fields: map[string]string{hostile: hostile}, LoginURL: "javascript:alert(1)", LogoutURL: "javascript:alert(1)", HomeURL: "javascript:alert(1)",
		Field: hostile, Choices: []Choice{{hostile, hostile, "javascript:alert(1)", true}, {hostile, hostile, "javascript:alert(1)", false}},
	}
	templates := read(t, "")
	for _, language := range templates.texts.Tags() {
		for _, name := range names {
			body := showIn(t, templates, language, http.MethodGet, name, data).Body.String()
			if strings.Contains(body, "<script") {
				t.Errorf("%s, %s: a text became an element: %s", name, language, body)
			}
			if strings.Contains(body, `"javascript:`) {
				t.Errorf("%s, %s: an address became a script: %s", name, language, body)
			}
		}
	}
}

func TestAPageHoldsNothingActive(t *testing.T) {
	t.Parallel()
	templates := read(t, "")
	first, second := show(t, templates, http.MethodGet, Error, Data{}), show(t, templates, http.MethodGet, Error, Data{})
	_, rest, _ := strings.Cut(first.Body.String(), `<style nonce="`)
	nonce, _, _ := strings.Cut(rest, `"`)
	want := "default-src 'none'; style-src 'self' 'nonce-" + nonce + "'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
	if nonce == "" {
		t.Error("policy: expected a nonce, seen none")
	}
	if got := first.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("policy: expected %q, seen %q", want, got)
	}
	if first.Header().Get("Content-Security-Policy") == second.Header().Get("Content-Security-Policy") {
		t.Error("two pages have the same nonce")
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := first.Header().Get(name); got != want {
			t.Errorf("%s: expected %q, seen %q", name, want, got)
		}
	}
}

func TestAPageMayBeFramedWhereItIsMeantTo(t *testing.T) {
	t.Parallel()
	page, err := renderEnglish(read(t, ""), SessionEnded)
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	if err := page.WriteFramed(recorder, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusUnauthorized); err != nil {
		t.Fatal(err)
	}
	if got := recorder.Header().Get("X-Frame-Options"); got != "" {
		t.Errorf("X-Frame-Options: expected none, seen %q", got)
	}
	if got := recorder.Header().Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors *;") {
		t.Errorf("policy: expected frame-ancestors *, seen %q", got)
	}
}

func TestHEADHasNoBody(t *testing.T) {
	t.Parallel()
	recorder := show(t, read(t, ""), http.MethodHead, Error, Data{})
	if recorder.Code != http.StatusForbidden || recorder.Body.Len() != 0 {
		t.Errorf("expected status 403 without a body, seen %d with %d bytes", recorder.Code, recorder.Body.Len())
	}
}

func TestAFolderReplacesPagesOneByOne(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, Error, `{{define "content"}}<p>ours: {{.Message}}</p>{{end}}`)
	templates := read(t, folder)
	if body := show(t, templates, http.MethodGet, Error, Data{MessageKey: "popup.close"}).Body.String(); !strings.Contains(body, "<p>ours: You can close this window.</p>") {
		t.Errorf("the operator's own page is not shown: %s", body)
	}
	if body := show(t, templates, http.MethodGet, SignedOut, Data{}).Body.String(); !strings.Contains(body, "You are signed out") {
		t.Errorf("the built-in page is not shown: %s", body)
	}
}

func TestMistakesInTemplatesAreFound(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ file, text, want string }{
		"not closed":         {Error, `{{define "content"}}{{if}`, "error.html: "},
		"an unknown field":   {Confirm, `{{define "content"}}{{.Unknown}}{{end}}`, "confirm.html: "},
		"only with a user":   {Confirm, `{{define "content"}}{{if .User}}{{.Unknown}}{{end}}{{end}}`, "confirm.html: "},
		"a broken layout":    {layout, `{{template "content" .}`, "layout.html: "},
		"nothing is defined": {"error.html", `<p>`, ""},
	} {
		folder := t.TempDir()
		write(t, folder, row.file, row.text)
		_, err := Read(builtin, folder, os.ReadFile)
		if row.want == "" {
			row.want = `error.html: does not define the template «content»`
		}
		if err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: expected %q…, seen %v", name, row.want, err)
		}
	}
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
