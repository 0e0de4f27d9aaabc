package pages

import (
	"encoding/json"
	"time"
)

// Common is what every page has. Pages embed it.
type Common struct {
	// UILocales are the languages that the request asks for (ui_locales).
	UILocales []string
	// App is the name of the application that the user signs in to; empty if
	// there is none.
	App string
	// Hidden are hidden fields of all forms of the page, such as the CSRF token.
	Hidden map[string]string
	// Problems are what is wrong with what the user sent.
	Problems []Problem
	// Notice says what has just happened, such as «saved»; the zero value is
	// nothing.
	Notice Text
	// RetryAfter is the header of that name; zero for none.
	RetryAfter time.Duration
}

func (c *Common) common() *Common { return c }

// Text is a text by its key, with the values of its placeholders.
type Text struct {
	Key    string
	Values map[string]string
}

// Problem is something that is wrong with what a user sent. It is shown at the top
// of the page, with a link to the field, and at the field.
type Problem struct {
	Field string // the name of the field; empty if it is about none
	Text
}

// Wrong is a problem with a field.
func Wrong(field, key string) Problem { return Problem{field, Text{Key: key}} }

// Names of fields.
const (
	FieldUserName    = "username"
	FieldPassword    = "password"
	FieldCode        = "code"        // of an app or a token, or a mailed one
	FieldCode2       = "code2"       // the next code, in a resynchronization
	FieldRecovery    = "recovery"    // a recovery code
	FieldCredential  = "credential"  // JSON of navigator.credentials, as PublicKeyCredential.toJSON returns it
	FieldNewPassword = "newpassword" // with FieldRepeat
	FieldRepeat      = "repeat"
	FieldRemember    = "remember" // «on»: this device is to be remembered
	FieldExternal    = "external" // the id of an external provider
	FieldChoice      = "choice"   // which button was pressed
	FieldKind        = "kind"     // of a factor
	FieldLabel       = "label"    // what the user calls a factor
	FieldEmail       = "email"
	FieldName        = "name" // the name to show
	FieldToken       = "token"
	FieldLinkCode    = "linkcode" // the short code of a mail, typed
	FieldID          = "id"       // of what a button on the account page is about
)

// Passkey is what the script of a page needs to ask for a passkey.
type Passkey struct {
	// Options is the JSON of CredentialRequestOptions or CredentialCreationOptions
	// (Web Authentication 5.5, 5.4), with or without the member publicKey around.
	Options json.RawMessage
	// Action is where the credential is posted, as FieldCredential with the
	// hidden fields.
	Action string
	// Autofill offers passkeys where the user name is typed (conditional
	// mediation), besides the button.
	Autofill bool
}

// JSON is the options as a text.
func (p Passkey) JSON() string { return string(p.Options) }

// External is an external provider.
type External struct{ ID, Name string }
