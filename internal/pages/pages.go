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
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
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

// Data is what a template gets. Everything in it is safe to show: texts are
// escaped by the template, addresses are the site's own.
type Data struct {
	Title   string // what happened, as a headline
	Host    string // the site's name
	Nonce   string // for inline style elements; set by Render
	Message string // error.html, popup.html: what happened, for users; session_ended.html: why the session is not enough, if there is one
	Hint    string // error.html, popup.html: what to do about it; may be empty
	Code    string // error.html, popup.html: the error code; empty in popup.html after a sign-in
	ErrorID string // error.html, popup.html: finds the line in the log; may be empty
	Status  int    // error.html: the HTTP status
	User    string // who is signed in; empty for anonymous users
	// Provider is the name of the provider where the user has signed in, in error.html
	// and chooser.html; empty at sites with one provider.
	Provider string
	Rule     string // error.html: the rule that refuses the user; may be empty
	// Confirmation is the value of the form's hidden field of that name, in
	// confirm.html and still_signed_in.html.
	Confirmation string
	// Sent reports whether a form was sent and did not arrive, in
	// session_ended.html.
	Sent bool
	// LoginHost is the host where the user has signed in for this site and others, in
	// confirm.html, and in signed_out.html if it is this one; empty if there is none.
	LoginHost string
	// Site is the host that the user is about to sign in to, in handover.html.
	Site string
	// Action and Fields are the form of continue.html, handover.html and chooser.html.
	Action string
	Fields map[string]string
	// Choices are the providers of chooser.html, the remembered one first. Field is the
	// name of its form's field for a user name or an e-mail address, of at most
	// MaxLength characters. Sought reports whether what a user has entered there does
	// not say which provider it is.
	Choices   []Choice
	Field     string
	MaxLength int
	Sought    bool

	// Next is where keep_fragment.html leads, and Keep or Restore is what the browser
	// keeps the fragment by, before a login or after it.
	Next, Keep, Restore string
	// Script is the script of keep_fragment.html and popup.html.
	Script Script

	LoginURL  string // begins a fresh sign-in; may be empty
	RetryURL  string // error.html: what to try again; may be empty
	LogoutURL string
	HomeURL   string
}

// Choice is a provider that users can choose.
type Choice struct {
	ID, Name   string
	URL        string // begins a login there
	Remembered bool   // the user's last choice
}

// Templates are the templates of all pages.
type Templates struct {
	byName  map[string]*template.Template
	scripts map[string]script
}

// Read reads the templates of all pages. Those that the operator's folder does
// not have are the built-in ones; without a folder all are. It renders each of
// them, so that a mistake is found now and not by a user.
func Read(builtin fs.FS, folder string, read livefile.Read) (*Templates, error) {
	scripts, err := readScripts(builtin)
	if err != nil {
		return nil, err
	}
	templates := &Templates{make(map[string]*template.Template, len(names)), scripts}
	for _, name := range names {
		t := template.New(layout)
		for _, file := range []string{layout, name} {
			text, err := readFile(builtin, folder, file, read)
			if err != nil {
				return nil, err
			}
			if _, err := t.Parse(text); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		if err := try(t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		templates.byName[name] = t
	}
	return templates, nil
}

func readFile(builtin fs.FS, folder, name string, read livefile.Read) (string, error) {
	if folder != "" {
		text, err := read(filepath.Join(folder, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(text), err
		}
	}
	text, err := fs.ReadFile(builtin, name)
	return string(text), err
}

// try renders a template with nothing and with everything.
func try(t *template.Template) error {
	if t.Lookup("content") == nil {
		return errors.New("does not define the template «content»")
	}
	full := Data{
		Title: "t", Host: "h", Nonce: "n", Message: "m", Hint: "h", Code: "c", ErrorID: "e", Status: http.StatusServiceUnavailable, User: "u", Provider: "p", Rule: "r",
		Confirmation: "c", Sent: true, Site: "s", LoginHost: "l", Action: "https://a.example/", Fields: map[string]string{"n": "v"}, Next: "/n", Keep: "k", Restore: "r", Script: Script{URL: "/s", Integrity: "i"}, LoginURL: "/l", RetryURL: "/r", LogoutURL: "/o", HomeURL: "/",
		Choices: []Choice{{"i", "n", "/c", true}, {"j", "o", "/d", false}}, Field: "f", MaxLength: 1, Sought: true,
	}
	return errors.Join(t.Execute(io.Discard, Data{}), t.Execute(io.Discard, full))
}

// Page is a page that is ready to be written.
type Page struct {
	body   []byte
	nonce  string
	script Script
}

// Render makes a page.
func (t *Templates) Render(name string, data Data) (*Page, error) {
	data.Nonce = rand.Text()
	var body bytes.Buffer
	if err := t.byName[name].Execute(&body, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return &Page{body.Bytes(), data.Nonce, data.Script}, nil
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
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(p.body)
	return err
}
