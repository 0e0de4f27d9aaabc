// Package pages renders what users see, in their language. It knows how a page is
// made of templates, the built-in ones or an operator's, which security headers it
// has, and where styles, scripts and the logo are. It does not know what happened
// or who is signed in: callers say so, with one struct for each page.
//
// Everything works without JavaScript except passkeys, which cannot.
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

// Options are what operators say about pages.
type Options struct {
	// Issuer is the origin of the site, such as https://login.example.com.
	Issuer string
	// Name is what users know the site by; the default is its host.
	Name string
	// Contact is whom users ask for help, as a text; may be empty.
	Contact string
	// Folder has templates, a style sheet and texts in the place of the built-in
	// ones of the same names; may be empty.
	Folder string
	// Logo is an image file; may be empty.
	Logo string
	// Icons are image files of external providers, by their ids.
	Icons map[string]string
	// Texts are all texts; see Texts.
	Texts  *locale.Catalogue
	Logger *slog.Logger
}

// Pages renders pages. It is safe for concurrent use.
type Pages struct {
	options   Options
	templates map[string]*template.Template
	assets    *assets
}

// Page is the data of one page: a struct of this package.
type Page interface {
	// Template is the name of the page's template, without «.html».
	Template() string
	// TitleKey is the key of its title.
	TitleKey() string
	common() *Common
}

// New reads the templates. It renders each of them, so that a mistake in an
// operator's template is found now and not by a user.
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

// read reads the template of a page, and tries it with the page.
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

// Render answers a request with a page.
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
		w.Write(body.Bytes()) //nolint:errcheck // the browser is gone
	}
}

// Language returns the language of a page: the first one of uiLocales that there
// is, else what the browser prefers.
func (p *Pages) Language(r *http.Request, uiLocales []string) *locale.Language {
	return p.options.Texts.Choose(strings.Join(uiLocales, " "), r.Header.Values("Accept-Language"))
}
