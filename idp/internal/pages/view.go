package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// view is what a template gets: the page's struct as {{.Page}}, what all pages
// have, and the texts, by {{.T "button.sign_in"}}.
type view struct {
	Page     Page
	Common   *Common
	Site     string // the name of the site
	Contact  string
	LogoURL  string // empty without a logo
	StyleURL string
	IconURL  string // of the browser's tab

	language *locale.Language
	assets   *assets
}

func (p *Pages) view(page Page, language *locale.Language) view {
	return view{
		Page: page, Common: page.common(), Site: p.options.Name, Contact: p.options.Contact,
		LogoURL: p.assets.logo, StyleURL: p.assets.url("style.css"), IconURL: cmp.Or(p.assets.logo, p.assets.url("icon.svg")),
		language: language, assets: p.assets,
	}
}

var functions = template.FuncMap{"qr": qrCode}

// Lang is the language of the page, for the attribute lang.
func (v view) Lang() string { return v.language.Tag() }

// Dir is the direction of that language's script, for the attribute dir.
func (v view) Dir() string { return v.language.Direction() }

// Title is the title of the page.
func (v view) Title() (string, error) {
	return v.language.Plain(v.Page.TitleKey(), v.value)
}

// T returns the text of a key. Its placeholders stand for {site}, {app} and
// {contact}; others follow as pairs of a name and a value.
func (v view) T(key string, pairs ...any) (template.HTML, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("the text %q: each name of a placeholder needs a value", key)
	}
	text, err := v.language.HTML(key, func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return fmt.Sprint(pairs[i+1])
			}
		}
		return v.value(name)
	})
	return template.HTML(text), err // the language has escaped it
}

// Text shows a text with its values.
func (v view) Text(t Text) (template.HTML, error) {
	text, err := v.language.HTML(t.Key, func(name string) string {
		if value, ok := t.Values[name]; ok {
			return value
		}
		return v.value(name)
	})
	return template.HTML(text), err // the language has escaped it
}

// Icon returns the address of an external provider's icon, empty if it has none.
func (v view) Icon(id string) string { return v.assets.icons[id] }

// Script returns the address of a script.
func (v view) Script(name string) string { return v.assets.url(name) }

// Problems returns the problems with a field.
func (v view) Problems(field string) (of []Problem) {
	for _, problem := range v.Common.Problems {
		if problem.Field == field {
			of = append(of, problem)
		}
	}
	return of
}

// Describes reports whether there is a problem with a field.
func (v view) Describes(field string) bool { return len(v.Problems(field)) > 0 }

// Date shows a time: the day, and the minute in UTC.
func (v view) Date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// Minutes shows a duration in whole minutes, at least one.
func (v view) Minutes(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Minute)/time.Minute)))
}

// PageText shows the text Key.name of a page that has a key of its own.
func (v view) PageText(name string) (template.HTML, error) {
	page, ok := v.Page.(keyed)
	if !ok {
		return "", fmt.Errorf("the page %s has no key", v.Page.Template())
	}
	return v.T(page.key() + "." + name)
}

// keyed is a page whose texts depend on what it is about.
type keyed interface {
	key() string
	values() map[string]string
}

// Wide reports whether the page is wide.
func (v view) Wide() bool {
	_, ok := v.Page.(*Account)
	return ok
}

// Focus reports whether a field has the focus when the page is shown: the first
// that something is wrong with, else the first of the page.
func (v view) Focus(field string) bool {
	for _, problem := range v.Common.Problems {
		if problem.Field != "" {
			return problem.Field == field
		}
	}
	first, ok := v.Page.(focused)
	return ok && first.focus() == field
}

// focused is a page that begins at a field.
type focused interface{ focus() string }

// UserNameAutocomplete is what the field of the user name says to browsers.
func (v view) UserNameAutocomplete() string {
	if page, ok := v.Page.(*UserName); ok && page.Passkey != nil {
		return "username webauthn"
	}
	return "username"
}

// Grouped shows a secret in groups of four.
func (v view) Grouped(secret string) string {
	var groups []string
	for secret = strings.TrimRight(strings.ReplaceAll(secret, " ", ""), "="); len(secret) > 4; secret = secret[4:] {
		groups = append(groups, secret[:4])
	}
	return strings.Join(append(groups, secret), " ")
}

// link is a form for the secret of a link.
type link struct {
	View view
	Kind string
}

// Link returns the form for the secret of a link.
func (v view) Link(kind string) link { return link{v, kind} }

// row is a form of one button on the account page.
type row struct {
	View            view
	Action, ID, Key string
	Of              string // what the button is about, for users who do not see the row
	Page            bool   // it leads to a page
}

// Row returns a form of one button that does something.
func (v view) Row(action, id, key, of string) row { return row{v, action, id, key, of, false} }

// RowPage returns a form of one button that leads to a page.
func (v view) RowPage(action, id, key, of string) row { return row{v, action, id, key, of, true} }

func (v view) value(name string) string {
	if page, ok := v.Page.(keyed); ok {
		if value, ok := page.values()[name]; ok {
			return value
		}
	}
	switch name {
	case "site":
		return v.Site
	case "app":
		return v.Common.App
	case "contact":
		return v.Contact
	}
	return ""
}
