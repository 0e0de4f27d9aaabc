package pages

import (
	"fmt"
	"html/template"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// Data is what a template gets. Everything in it is safe to show: texts are
// escaped by the template, addresses are the site's own.
//
// Besides these fields templates have its methods: {{.Title}}, {{.Message}} and {{.Hint}},
// {{.T "button.sign_in"}} for a text of the files in locales, and {{.Lang}} and {{.Dir}}
// for the language of these. In an operator's template that has none of the last three, all
// texts are in English.
type Data struct {
	// TitleKey, MessageKey and HintKey are the keys of the texts that the methods of
	// these names return; empty for none.
	TitleKey, MessageKey, HintKey string

	Host    string // the site's name
	Nonce   string // for inline style elements; set by Render
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

	language *locale.Language // set by Render
}

// Choice is a provider that users can choose.
type Choice struct {
	ID, Name   string
	URL        string // begins a login there
	Remembered bool   // the user's last choice
}

// Title is what happened, as a headline.
func (d Data) Title() (string, error) { return d.plain(d.TitleKey) }

// Message is what happened, for users, in error.html and popup.html; in session_ended.html
// it is why the session is not enough, if there is one.
func (d Data) Message() (string, error) { return d.plain(d.MessageKey) }

// Hint is what to do about it, in error.html and popup.html; may be empty.
func (d Data) Hint() (string, error) { return d.plain(d.HintKey) }

// Lang is the language of the page, for the attribute lang.
func (d Data) Lang() string { return d.language.Tag() }

// Dir is the direction of that language's script, for the attribute dir: ltr or rtl.
func (d Data) Dir() string { return d.language.Direction() }

// T returns the text of a key, in the language of the page. Its placeholders stand for
// fields: {host}, {login_host}, {site}, {user}, {provider}, {rule}. Others follow as pairs
// of a name and a value, as in {{$.T "chooser.continue_with" "name" .Name}}.
func (d Data) T(key string, pairs ...string) (template.HTML, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("the text %q: each name of a placeholder needs a value", key)
	}
	text, err := d.language.HTML(key, func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return d.value(name)
	})
	return template.HTML(text), err // the language has escaped it
}

func (d Data) plain(key string) (string, error) {
	if key == "" {
		return "", nil
	}
	return d.language.Plain(key, d.value)
}

// value returns what a placeholder of a text stands for.
func (d Data) value(name string) string {
	switch name {
	case "host":
		return d.Host
	case "login_host":
		return d.LoginHost
	case "site":
		return d.Site
	case "user":
		return d.User
	case "provider":
		return d.Provider
	case "rule":
		return d.Rule
	}
	return ""
}
