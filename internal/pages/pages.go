// Package pages writes the plugin's own responses: its pages for users, problem
// documents for programs (RFC 9457), redirects, and the security headers of all
// of them.
//
// It knows how a page is made of templates, the built-in ones or an operator's,
// and what a template gets. It does not know what went wrong or who is signed
// in: callers say so.
package pages

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// The pages. Each is a file that defines the template "content", shown in
// layout.html.
const (
	Error         = "error.html"
	SignedOut     = "signed_out.html"
	StillSignedIn = "still_signed_in.html"
	Confirm       = "confirm.html"
	Continue      = "continue.html"
	SessionEnded  = "session_ended.html"
	Handover      = "handover.html"
	KeepFragment  = "keep_fragment.html"
	Popup         = "popup.html"
	Chooser       = "chooser.html"
)

var names = []string{Error, SignedOut, StillSignedIn, Confirm, Continue, SessionEnded, Chooser, Handover, KeepFragment, Popup}

const layout = "layout.html"

// Templates are the templates of all pages, and their texts.
type Templates struct {
	byName  map[string]pageTemplate
	scripts map[string]script
	texts   *locale.Catalogue
}

// pageTemplate is the template of a page.
type pageTemplate struct {
	*template.Template
	// english reports whether an operator has written it for one language, so that the
	// texts in it stay in English.
	english bool
}

// knowsLanguages reports whether a template does something about the language of a page.
var knowsLanguages = regexp.MustCompile(`\{\{[^}]*\.(T|Lang|Dir)\b`).MatchString

// Read reads the templates of all pages. Those that the operator's folder does
// not have are the built-in ones; without a folder all are. It renders each of
// them, so that a mistake is found now and not by a user.
func Read(builtin fs.FS, folder string, read livefile.Read) (*Templates, error) {
	scripts, err := readScripts(builtin)
	if err != nil {
		return nil, err
	}
	texts, err := locale.Read(builtin, folder, read)
	if err != nil {
		return nil, err
	}
	templates := &Templates{make(map[string]pageTemplate, len(names)), scripts, texts}
	for _, name := range names {
		t := pageTemplate{Template: template.New(layout)}
		for _, file := range []string{layout, name} {
			text, own, err := readFile(builtin, folder, file, read)
			if err != nil {
				return nil, err
			}
			if _, err := t.Parse(text); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			t.english = t.english || own && !knowsLanguages(text)
		}
		if err := try(t.Template, texts.English()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		templates.byName[name] = t
	}
	return templates, nil
}

// readFile reads a template. own reports whether it is the operator's.
func readFile(builtin fs.FS, folder, name string, read livefile.Read) (text string, own bool, err error) {
	if folder != "" {
		text, err := read(filepath.Join(folder, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(text), true, err
		}
	}
	builtinText, err := fs.ReadFile(builtin, name)
	return string(builtinText), false, err
}

// try renders a template with nothing and with everything.
func try(t *template.Template, english *locale.Language) error {
	if t.Lookup("content") == nil {
		return errors.New("does not define the template «content»")
	}
	full := Data{
		TitleKey: "popup.title", Host: "h", Nonce: "n", MessageKey: "popup.message", HintKey: "popup.close", Code: "c", ErrorID: "e", Status: http.StatusServiceUnavailable, User: "u", Provider: "p", Rule: "r",
		Confirmation: "c", Sent: true, Site: "s", LoginHost: "l", Action: "https://a.example/", Fields: map[string]string{"n": "v"}, Next: "/n", Keep: "k", Restore: "r", Script: Script{URL: "/s", Integrity: "i"}, LoginURL: "/l", RetryURL: "/r", LogoutURL: "/o", HomeURL: "/",
		Choices: []Choice{{"i", "n", "/c", true}, {"j", "o", "/d", false}}, Field: "f", MaxLength: 1, Sought: true,
	}
	full.language = english
	return errors.Join(t.Execute(io.Discard, Data{language: english}), t.Execute(io.Discard, full))
}

// Choose returns the language of a page, from what a login link says (ui_locales) and what
// the lines of Accept-Language do.
func (t *Templates) Choose(uiLocales string, acceptLanguage []string) *locale.Language {
	return t.texts.Choose(uiLocales, acceptLanguage)
}

// Preferred returns the tag of the language that a login link prefers, or nothing if there
// is none of those that it names.
func (t *Templates) Preferred(uiLocales string) string { return t.texts.Preferred(uiLocales) }

// Page is a page that is ready to be written.
type Page struct {
	body     []byte
	nonce    string
	script   Script
	language string // empty if an operator has chosen it
}

// Render makes a page in a language, or in English where the operator's template is for
// one language.
func (t *Templates) Render(name string, language *locale.Language, data Data) (*Page, error) {
	page := t.byName[name]
	data.Nonce, data.language = rand.Text(), language
	if page.english {
		data.language = t.texts.English()
	}
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	rendered := &Page{body: body.Bytes(), nonce: data.Nonce, script: data.Script}
	if !page.english {
		rendered.language = language.Tag()
	}
	return rendered, nil
}

// Write writes the page, which no other page may show in a frame.
func (p *Page) Write(w http.ResponseWriter, r *http.Request, status int) error {
	pageSecurityHeaders(w.Header(), p.nonce, p.script.policy(), "'none'")
	return p.write(w, r, status)
}

// WriteForm is Write for a page whose forms lead to this site, and on from here to
// the given origins alone.
func (p *Page) WriteForm(w http.ResponseWriter, r *http.Request, status int, origins []string) error {
	pageSecurityHeaders(w.Header(), p.nonce, p.script.policy(), "'none'")
	policy := w.Header().Get("Content-Security-Policy")
	w.Header().Set("Content-Security-Policy", policy+"; form-action "+strings.Join(append([]string{"'self'"}, origins...), " "))
	return p.write(w, r, status)
}

// WriteFramed writes the page, which other pages may show in a frame.
func (p *Page) WriteFramed(w http.ResponseWriter, r *http.Request, status int) error {
	pageSecurityHeaders(w.Header(), p.nonce, p.script.policy(), "*")
	w.Header().Del("X-Frame-Options")
	return p.write(w, r, status)
}

func (p *Page) write(w http.ResponseWriter, r *http.Request, status int) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.language != "" {
		w.Header().Set("Content-Language", p.language)
		if w.Header().Get("Vary") != "*" {
			w.Header().Add("Vary", "Accept-Language")
		}
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(p.body)
	return err
}
