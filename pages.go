package oidcrp

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

//go:embed pages/*.html
var builtinPages embed.FS

// pageNames is the one list of pages. Each is a file that defines the template
// "content", shown in layout.html.
var pageNames = []string{"error.html", "signed_out.html", "confirm.html"}

const layoutPage = "layout.html"

// pages are the templates by name.
type pages struct {
	templates map[string]*template.Template
}

// page is what a template gets. Everything in it is safe to show: texts are
// escaped by the template, addresses are our own.
type page struct {
	Title   string // what happened, as a headline
	Host    string // the site's name
	Nonce   string // for inline style elements
	Message string // error.html: what happened, for people
	Hint    string // error.html: what to do about it; may be empty
	Code    string // error.html: the error code
	ErrorID string // error.html: finds the line in the log
	Status  int    // error.html: the HTTP status
	User    string // confirm.html: who is signed in
	// Confirmation is the value of the form's hidden field of that name, in
	// confirm.html.
	Confirmation string

	LoginURL  string // begins a fresh sign-in; may be empty
	LogoutURL string
	HomeURL   string
}

// resolvePages reads the templates: the operator's own in the place of the
// built-in ones.
func (h *Handler) resolvePages(caddy.Context) error {
	var own fs.FS
	if h.Pages != "" {
		folder, err := expand(h.Pages)
		if err != nil {
			return fmt.Errorf("pages: %w", err)
		}
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("pages: %q is not a folder", folder)
		}
		own = os.DirFS(folder)
	}
	h.pages = &pages{templates: make(map[string]*template.Template, len(pageNames))}
	for _, name := range pageNames {
		t := template.New(layoutPage)
		for _, file := range []string{layoutPage, name} {
			text, err := readPage(own, file)
			if err != nil {
				return fmt.Errorf("pages: %w", err)
			}
			if _, err := t.Parse(text); err != nil {
				return fmt.Errorf("pages: %s: %w", file, err)
			}
		}
		if err := tryPage(t); err != nil {
			return fmt.Errorf("pages: %s: %w", name, err)
		}
		h.pages.templates[name] = t
	}
	return nil
}

// tryPage renders a template with nothing and with everything, so that a
// mistake in it is found now and not by a visitor.
func tryPage(t *template.Template) error {
	if t.Lookup("content") == nil {
		return errors.New("does not define the template «content»")
	}
	full := page{
		Title: "t", Host: "h", Nonce: "n", Message: "m", Hint: "h", Code: "c", ErrorID: "e", Status: http.StatusServiceUnavailable, User: "u",
		Confirmation: "c", LoginURL: "/l", LogoutURL: "/o", HomeURL: "/",
	}
	return errors.Join(t.Execute(io.Discard, page{}), t.Execute(io.Discard, full))
}

func readPage(own fs.FS, name string) (string, error) {
	if own != nil {
		text, err := fs.ReadFile(own, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(text), err
		}
	}
	text, err := builtinPages.ReadFile("pages/" + name)
	return string(text), err
}

// render writes a page. Its policy lets styles of its own in and nothing that
// is active. There is no form-action in it: browsers apply that to where a form's
// redirect leads, and the logout leads to the provider.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, name string, status int, data page) error {
	data.Nonce = rand.Text()
	data.Host = r.Host
	if s := h.site(r); s != nil {
		data.Host = s.origin.Host
	}
	data.HomeURL, data.LogoutURL = h.Home, h.LogoutPath
	var body bytes.Buffer
	if err := h.pages.templates[name].Execute(&body, data); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("render %s: %w", name, err))
	}
	header := w.Header()
	secureHeaders(header)
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self' 'nonce-"+data.Nonce+"'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := body.WriteTo(w)
	return err
}

// errorPage tells what went wrong, to people as a page and to programs as a
// problem, or leaves that to handle_errors.
func (h *Handler) errorPage(w http.ResponseWriter, r *http.Request, v *visit, status int, f *failure, errorID string) error {
	secureHeaders(w.Header())
	message := codes[f.code].message
	hint := ""
	if errors.Is(f.cause, errPlainHTTP) {
		hint = "This site is served over plain HTTP, so a sign-in would not be safe. Its operator can find out more in the log."
	}
	title := titleOf(status, f.code)
	switch {
	case errors.Is(f.cause, errDisabled):
		title, message = "Sign-in is switched off", "This identity provider is switched off here."
	case errors.Is(f.cause, errNoEndpoint):
		title, message = "There is no such page", "This address has a mistake in it, or is no longer in use."
	}
	if h.ErrorPages == "caddy" {
		return caddyhttp.Error(status, fmt.Errorf("%s: %s", f.code, message))
	}
	p := f.party
	if p == nil || p.config.Disabled {
		p = h.defaultParty
	}
	login := ""
	if !p.config.Disabled && !errors.Is(f.cause, errPlainHTTP) {
		login = h.loginURL(p, f.returnTo)
	}
	if !wantsPage(r) {
		members := map[string]string{"type": "about:blank", "title": http.StatusText(status), "detail": message, "reason": string(f.code)}
		if login != "" {
			members["login_url"] = login
		}
		if errorID != "" {
			members["error_id"] = errorID
		}
		return problem(w, status, members)
	}
	return h.render(w, r, "error.html", status, page{
		Title: title, Message: message, Hint: hint, Code: string(f.code), ErrorID: errorID, Status: status, LoginURL: login,
	})
}

func titleOf(status int, c code) string {
	switch {
	case status == http.StatusServiceUnavailable:
		return "Not available at the moment"
	case c == logoutFailed:
		return "Sign-out did not work everywhere"
	}
	return "Sign-in did not work"
}

// wantsPage says whether a person will read the answer.
func wantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") || !strings.Contains(accept, "json")
}

// explain shows the error that came back with a page that is not public.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, v *visit) error {
	name := errorCodeOf(r)
	f := &failure{code: code(name), cause: errors.New("shown on a private page"), returnTo: ""}
	h.logger.Debug("a private page was opened with an error", zap.String("code", name))
	return h.errorPage(w, r, v, http.StatusForbidden, f, "")
}

func (h *Handler) signedOutPage(w http.ResponseWriter, r *http.Request, _ *visit) error {
	return h.render(w, r, "signed_out.html", http.StatusOK, page{Title: "Signed out", LoginURL: h.loginURL(h.defaultParty, "")})
}

func (h *Handler) confirmPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	status := http.StatusOK
	if r.Method == http.MethodPost {
		status = http.StatusForbidden
	}
	return h.render(w, r, "confirm.html", status, page{Title: "Sign out?", User: v.userID(), Confirmation: h.confirmation(r, v)})
}
