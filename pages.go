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
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

//go:embed pages/*.html
var builtinPages embed.FS

// pageNames is the one list of pages. Each is a file that defines the template
// "content", shown in layout.html.
var pageNames = []string{"error.html", "signed_out.html", "confirm.html", "continue.html", "session_ended.html", "still_signed_in.html"}

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
	User    string // who is signed in; empty for anonymous users
	// Confirmation is the value of the form's hidden field of that name, in
	// confirm.html.
	Confirmation string
	// Sent says that a form was sent and did not arrive, in session_ended.html.
	Sent bool
	// Action and Fields are the form of continue.html.
	Action string
	Fields map[string]string

	LoginURL  string // begins a fresh sign-in; may be empty
	LogoutURL string
	HomeURL   string
}

// resolvePages reads the templates: the operator's own in the place of the
// built-in ones.
func (h *Handler) resolvePages(caddy.Context) error {
	folder := ""
	if h.Pages != "" {
		var err error
		if folder, err = expand(h.Pages); err != nil {
			return fmt.Errorf("pages: %w", err)
		}
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("pages: %q is not a folder", folder)
		}
	}
	var err error
	h.pages, err = livefile.New(h.now, logFiles(func() *zap.Logger { return h.logger }, "pages"), func(read livefile.Read) (*pages, error) {
		return readPages(folder, read)
	})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	return nil
}

// readPages reads all templates. Those that the folder does not have are the
// built-in ones.
func readPages(folder string, read livefile.Read) (*pages, error) {
	p := &pages{templates: make(map[string]*template.Template, len(pageNames))}
	for _, name := range pageNames {
		t := template.New(layoutPage)
		for _, file := range []string{layoutPage, name} {
			text, err := readPage(folder, file, read)
			if err != nil {
				return nil, err
			}
			if _, err := t.Parse(text); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		if err := tryPage(t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p.templates[name] = t
	}
	return p, nil
}

// tryPage renders a template with nothing and with everything, so that a
// mistake in it is found now and not by a visitor.
func tryPage(t *template.Template) error {
	if t.Lookup("content") == nil {
		return errors.New("does not define the template «content»")
	}
	full := page{
		Title: "t", Host: "h", Nonce: "n", Message: "m", Hint: "h", Code: "c", ErrorID: "e", Status: http.StatusServiceUnavailable, User: "u",
		Confirmation: "c", Sent: true, Action: "https://a.example/", Fields: map[string]string{"n": "v"}, LoginURL: "/l", LogoutURL: "/o", HomeURL: "/",
	}
	return errors.Join(t.Execute(io.Discard, page{}), t.Execute(io.Discard, full))
}

func readPage(folder, name string, read livefile.Read) (string, error) {
	if folder != "" {
		text, err := read(filepath.Join(folder, name))
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
	return h.renderIn(w, r, name, status, data, "'none'")
}

// renderFramed writes a page that other pages may show in a frame.
func (h *Handler) renderFramed(w http.ResponseWriter, r *http.Request, name string, status int, data page) error {
	return h.renderIn(w, r, name, status, data, "*")
}

func (h *Handler) renderIn(w http.ResponseWriter, r *http.Request, name string, status int, data page, ancestors string) error {
	data.Nonce = rand.Text()
	data.Host = r.Host
	if s := h.cookieScope(r); s != nil {
		data.Host = s.Origin.Host
	}
	data.HomeURL, data.LogoutURL = h.Home, h.LogoutPath
	var body bytes.Buffer
	if err := h.pages.Get().templates[name].Execute(&body, data); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("render %s: %w", name, err))
	}
	header := w.Header()
	strictSecurityHeaders(header)
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self' 'nonce-"+data.Nonce+"'; img-src 'self' data:; frame-ancestors "+ancestors+"; base-uri 'none'")
	if ancestors != "'none'" {
		header.Del("X-Frame-Options")
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := body.WriteTo(w)
	return err
}

func (h *Handler) signedOutPage(w http.ResponseWriter, r *http.Request) error {
	shown := page{Title: "Signed out"}
	if !h.defaultProvider.disabled {
		shown.LoginURL = h.loginURL(h.defaultProvider, "")
	}
	return h.render(w, r, "signed_out.html", http.StatusOK, shown)
}

// stillSignedInPage is in the place of that for someone whose session lives: the
// provider has led here, but nothing was ended.
func stillSignedInPage(w http.ResponseWriter, r *http.Request, viewer *requestState) error {
	return viewer.h.render(w, r, "still_signed_in.html", http.StatusOK,
		page{Title: "You are still signed in here", User: viewer.userID(), Confirmation: viewer.h.confirmation(r, viewer)})
}

func (h *Handler) confirmPage(w http.ResponseWriter, r *http.Request, st *requestState) error {
	status := http.StatusOK
	if r.Method == http.MethodPost {
		status = http.StatusForbidden
	}
	return h.render(w, r, "confirm.html", status, page{Title: "Sign out?", User: st.userID(), Confirmation: h.confirmation(r, st)})
}

// continuePage goes on to the provider by POST, since the address of a GET
// would be too long to be sure of its way. Only a script could send the form,
// and our pages hold none, so it takes a click. Leaving the ID token out would
// save that, but no metadata says whether a provider goes by client_id and
// logout_hint alone: some then refuse to come back, others ask a question of
// their own. A POST every provider must take (RP-Initiated Logout 1.0, 2).
func (h *Handler) continuePage(w http.ResponseWriter, r *http.Request, request op.EndSession) error {
	fields := make(map[string]string, len(request.Parameters))
	for name := range request.Parameters {
		fields[name] = request.Parameters.Get(name)
	}
	return h.render(w, r, "continue.html", http.StatusOK, page{Title: "Signed out here", Action: request.Endpoint, Fields: fields})
}
