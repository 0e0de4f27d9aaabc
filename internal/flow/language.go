package flow

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file selects the language of pages. A login link may name languages for the
// pages of the provider (ui_locales, OpenID Connect Core 3.1.2.1). Until that login
// ends, our own pages are in the first of them that is available. Otherwise the
// browser's Accept-Language decides.

// uiLocales is the parameter of login links that names languages. It is used only
// if it is forwarded to the provider.
const uiLocales = "ui_locales"

// preferLanguages records the languages that a login prefers.
func (x *request) preferLanguages(names string) { x.State.languages = names }

// preferLanguageOf records the language of a login in progress.
func (x *request) preferLanguageOf(t *session.Transaction) { x.preferLanguages(t.Language) }

// loginLanguage returns the language to store in the transaction of a new login; ""
// if the browser decides.
func (x *request) loginLanguage() string {
	if x.State.languages == "" {
		return ""
	}
	return x.Templates().Preferred(x.State.languages)
}

// inLanguage adds the language of this login to the address of the next one.
func (x *request) inLanguage(p *Provider, location string) string {
	language := x.loginLanguage()
	if language == "" || p != nil && !slices.Contains(p.Forward, uiLocales) {
		return location
	}
	return withQuery(location, uiLocales+"="+language)
}

// language returns the language of a page.
func (x *request) language() *locale.Language {
	return x.Templates().Choose(x.State.languages, x.R.Header["Accept-Language"])
}
