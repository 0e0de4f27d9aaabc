package flow

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file is about the language of pages. A login link may name languages, for the
// pages of the provider (OpenID Connect Core 3.1.2.1); ours are then in the first of them
// that there is, until the login is over. Otherwise the browser says which it prefers.

// uiLocales is the parameter of login links that names languages. It counts where it is
// passed on to the provider.
const uiLocales = "ui_locales"

// preferLanguages notes which languages a login is in.
func (x *request) preferLanguages(names string) { x.State.languages = names }

// preferLanguageOf notes which language a login in flight is in.
func (x *request) preferLanguageOf(t *session.Transaction) { x.preferLanguages(t.Language) }

// loginLanguage is the language of a login that begins, for its transaction: empty if the
// browser decides.
func (x *request) loginLanguage() string {
	if x.State.languages == "" {
		return ""
	}
	return x.Templates().Preferred(x.State.languages)
}

// inLanguage returns the address of a login that goes on in the language of this one.
func (x *request) inLanguage(p *Provider, location string) string {
	language := x.loginLanguage()
	if language == "" || p != nil && !slices.Contains(p.Forward, uiLocales) {
		return location
	}
	return withQuery(location, uiLocales+"="+language)
}

// language is the language of a page.
func (x *request) language() *locale.Language {
	return x.Templates().Choose(x.State.languages, x.R.Header["Accept-Language"])
}
