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

// view is the data passed to a template: the page's struct as {{.Page}}, the data that
// all pages share, and texts, as in {{.T "button.sign_in"}}.
type view struct {
	Page     Page
	Common   *Common
	Site     string // the name of the site
	Contact  string
	LogoURL  string // empty if there is no logo
	StyleURL string
	IconURL  string // the favicon

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

// Lang returns the language of the page, for the lang attribute.
func (v view) Lang() string { return v.language.Tag() }

// Dir returns the direction of the page's script, for the dir attribute.
func (v view) Dir() string { return v.language.Direction() }

// Title returns the title of the page.
func (v view) Title() (string, error) {
	return v.language.Plain(v.Page.TitleKey(), v.value)
}

// T returns the text with a key. The placeholders {site}, {app} and {contact} are always
// defined; pairs are names and values of others.
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
	return template.HTML(text), err // Language.HTML has escaped it
}

// Text returns a text with the values of its placeholders.
func (v view) Text(t Text) (template.HTML, error) {
	text, err := v.language.HTML(t.Key, func(name string) string {
		if value, ok := t.Values[name]; ok {
			return value
		}
		return v.value(name)
	})
	return template.HTML(text), err // Language.HTML has escaped it
}

// Icon returns the URL of an external provider's icon, or "" if there is none.
func (v view) Icon(id string) string { return v.assets.icons[id] }

// Script returns the URL of a script.
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

// Describes reports whether there are problems with a field.
func (v view) Describes(field string) bool { return len(v.Problems(field)) > 0 }

// Date returns a time to the minute, in UTC, or "" for the zero time.
func (v view) Date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// Minutes returns a duration in minutes, rounded, and at least 1.
func (v view) Minutes(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Minute)/time.Minute)))
}

// PageText returns the text with the key Key.name, for pages that have a Key.
func (v view) PageText(name string) (template.HTML, error) {
	page, ok := v.Page.(keyed)
	if !ok {
		return "", fmt.Errorf("the page %s has no key", v.Page.Template())
	}
	return v.T(page.key() + "." + name)
}

// keyed is implemented by pages whose texts depend on a key.
type keyed interface {
	key() string
	values() map[string]string
}

// Wide reports whether the page is shown in a wide layout.
func (v view) Wide() bool {
	_, ok := v.Page.(*Account)
	return ok
}

// Focus reports whether a field has the focus when the page is shown: the first field
// with a problem or, if there is none, the field that the page names.
func (v view) Focus(field string) bool {
	for _, problem := range v.Common.Problems {
		if problem.Field != "" {
			return problem.Field == field
		}
	}
	first, ok := v.Page.(focused)
	return ok && first.focus() == field
}

// focused is implemented by pages that name the field with the initial focus.
type focused interface{ focus() string }

// UserNameAutocomplete returns the autocomplete attribute of the user name field.
func (v view) UserNameAutocomplete() string {
	if page, ok := v.Page.(*UserName); ok && page.Passkey != nil {
		return "username webauthn"
	}
	return "username"
}

// Grouped returns a secret in groups of four characters.
func (v view) Grouped(secret string) string {
	var groups []string
	for secret = strings.TrimRight(strings.ReplaceAll(secret, " ", ""), "="); len(secret) > 4; secret = secret[4:] {
		groups = append(groups, secret[:4])
	}
	return strings.Join(append(groups, secret), " ")
}

// link is the form for the secret of a link, for a template.
type link struct {
	View view
	Kind string
}

// Link returns the form for the secret of a link.
func (v view) Link(kind string) link { return link{v, kind} }

// row is a form on the account page with a single button.
type row struct {
	View            view
	Action, ID, Key string
	Of              string // the object of the button, for users of screen readers
	Page            bool   // the button leads to a page
}

// Row returns a form with a button that posts to action.
func (v view) Row(action, id, key, of string) row { return row{v, action, id, key, of, false} }

// RowPage returns a form with a button that leads to a page.
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
