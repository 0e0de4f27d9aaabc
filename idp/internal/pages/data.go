package pages

import (
	"encoding/json"
	"time"
)

// Common contains the data that all pages share. Pages embed it.
type Common struct {
	// UILocales are the languages that the request asks for, from ui_locales.
	UILocales []string
	// App is the name of the application that the user signs in to, or empty if there is
	// none.
	App string
	// Hidden contains the hidden fields of all forms on the page, such as the CSRF token.
	Hidden map[string]string
	// Problems describes what is wrong with the user's input.
	Problems []Problem
	// Notice is what has just happened, such as «saved». The zero value shows no
	// notice.
	Notice Text
	// RetryAfter is the value of the Retry-After header. If it is zero, none is sent.
	RetryAfter time.Duration
}

func (c *Common) common() *Common { return c }

// Text is the key of a text, and the values of its placeholders.
type Text struct {
	Key    string
	Values map[string]string
}

// Problem describes something wrong with the user's input. It is shown at the top of the
// page, with a link to the field, and beside the field.
type Problem struct {
	Field string // the name of the field; empty if it concerns none
	Text
}

// Wrong returns a problem with a field.
func Wrong(field, key string) Problem { return Problem{field, Text{Key: key}} }

// Names of form fields.
const (
	FieldUserName    = "username"
	FieldPassword    = "password"
	FieldCode        = "code"        // from an app, a token or a mail
	FieldCode2       = "code2"       // the next code, in a resynchronization
	FieldRecovery    = "recovery"    // a recovery code
	FieldCredential  = "credential"  // JSON of navigator.credentials, as PublicKeyCredential.toJSON returns it
	FieldNewPassword = "newpassword" // with FieldRepeat
	FieldRepeat      = "repeat"
	FieldRemember    = "remember" // "on" to remember this device
	FieldExternal    = "external" // the id of an external provider
	FieldChoice      = "choice"   // the button that was pressed
	FieldKind        = "kind"     // of a factor
	FieldLabel       = "label"    // the user's name for a factor
	FieldEmail       = "email"
	FieldName        = "name" // the display name
	FieldToken       = "token"
	FieldLinkCode    = "linkcode" // the short code in a mail, if it is typed
	FieldID          = "id"       // identifies the object of a button on the account page
)

// Passkey contains what a page's script needs to ask for a passkey.
type Passkey struct {
	// Options is CredentialRequestOptions or CredentialCreationOptions as JSON (Web
	// Authentication, sections 5.5 and 5.4), with or without the enclosing publicKey
	// member.
	Options json.RawMessage
	// Action is the URL that the credential is posted to, in FieldCredential, with the
	// hidden fields.
	Action string
	// Autofill also offers passkeys in the user name field (conditional mediation), in
	// addition to the button.
	Autofill bool
}

// JSON returns Options as a string.
func (p Passkey) JSON() string { return string(p.Options) }

// External is an external provider to choose.
type External struct{ ID, Name string }
