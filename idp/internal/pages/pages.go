// Package pages renders what users see, in their language. It knows how pages are made
// from templates, built-in or an operator's, their security headers, and where styles,
// scripts and the logo are. It does not know what has happened or who is signed in:
// callers pass that in a struct for each page.
//
// Everything except passkeys works without JavaScript.
package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

//go:embed templates/*.html assets locales/*.json
var builtin embed.FS

const layout = "layout.html"

// Options configures the pages.
type Options struct {
	// Issuer is the origin of the site, such as https://login.example.com.
	Issuer string
	// Name is the name of the site, as users know it. Default: the issuer's host.
	Name string
	// Contact tells users where to get help. It may be empty.
	Contact string
	// Folder contains templates, a style sheet and texts that replace the built-in ones
	// with the same names. It may be empty.
	Folder string
	// Logo is the name of an image file. It may be empty.
	Logo string
	// Icons are the names of image files for external providers, by id.
	Icons map[string]string
	// Texts are the texts in all languages. Default: those that the function Texts reads.
	Texts  *locale.Catalogue
	Logger *slog.Logger
}

// Pages renders pages. It is safe for concurrent use.
type Pages struct {
	options   Options
	templates map[string]*template.Template
	assets    *assets
}

// Page is the data of one page. It is implemented by structs of this package.
type Page interface {
	// Template returns the name of the page's template, without ".html".
	Template() string
	// TitleKey returns the key of the page's title.
	TitleKey() string
	common() *Common
}

// New reads the templates. It also renders each of them, to find mistakes in an
// operator's templates before users do.
func New(o Options) (*Pages, error) {
	if o.Name == "" {
		_, o.Name, _ = strings.Cut(o.Issuer, "://")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Texts == nil {
		texts, err := Texts(o.Folder, nil)
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		o.Texts = texts
	}
	assets, err := readAssets(o)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	p := &Pages{options: o, assets: assets, templates: make(map[string]*template.Template)}
	for _, page := range Samples() {
		if err := p.read(page); err != nil {
			return nil, fmt.Errorf("pages: %s.html: %w", page.Template(), err)
		}
	}
	return p, nil
}

// read reads the template of a page, unless it has been read before, and renders the
// page.
func (p *Pages) read(page Page) error {
	name := page.Template()
	t := p.templates[name]
	if t == nil {
		t = template.New(layout).Funcs(functions)
		for _, file := range []string{layout, "parts.html", name + ".html"} {
			text, err := p.readFile(file)
			if err != nil {
				return err
			}
			if _, err := t.Parse(text); err != nil {
				return err
			}
		}
		if t.Lookup("content") == nil {
			return errors.New("does not define the template «content»")
		}
		p.templates[name] = t
	}
	return t.Execute(io.Discard, p.view(page, p.options.Texts.English()))
}

func (p *Pages) readFile(name string) (string, error) {
	if p.options.Folder != "" {
		text, err := os.ReadFile(filepath.Join(p.options.Folder, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(text), err
		}
	}
	text, err := builtin.ReadFile("templates/" + name)
	return string(text), err
}

// Render responds to a request with a page.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, page Page) {
	language := p.Language(r, page.common().UILocales)
	view := p.view(page, language)
	var body bytes.Buffer
	if err := p.templates[page.Template()].Execute(&body, view); err != nil {
		p.options.Logger.LogAttrs(r.Context(), slog.LevelError, "could not render a page",
			slog.String("event", "page_failed"), slog.String("page", page.Template()), slog.String("error", err.Error()))
		securityHeaders(w.Header(), "")
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	securityHeaders(header, p.policy(page))
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", language.Tag())
	header.Add("Vary", "Accept-Language")
	if after := page.common().RetryAfter; after > 0 {
		header.Set("Retry-After", fmt.Sprint(int(after.Seconds())))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body.Bytes()) //nolint:errcheck // nothing to do if the browser has gone
	}
}

// Language returns the language for a page: the first of uiLocales that is available, or
// else what the browser prefers.
func (p *Pages) Language(r *http.Request, uiLocales []string) *locale.Language {
	return p.options.Texts.Choose(strings.Join(uiLocales, " "), r.Header.Values("Accept-Language"))
}
