package pages

import "time"

// UserName asks for the user name or e-mail address: FieldUserName, or
// FieldExternal if a button of an external provider was pressed.
type UserName struct {
	Common
	Action    string
	Value     string // what the field holds
	Externals []External
	Passkey   *Passkey // nil without passkeys
	// NoAccounts: no account was ever made. The page says so, and names the
	// command that makes the first one.
	NoAccounts bool
}

// Password asks for the password, FieldPassword, and if Code is set for a code,
// FieldCode, or with Recovery for a recovery code, FieldRecovery.
type Password struct {
	Common
	Action       string
	User         string // as it was typed
	Code         bool
	CodeRequired bool   // else the field says «if you use a code»
	Recovery     bool   // a recovery code in the place of a code
	Resync       bool   // two successive codes in the place of one: FieldCode and FieldCode2
	ResyncURL    string // the page with Resync; may be empty
	OtherURL     string // back to the user name
	ResetURL     string // a forgotten password; without it the page says whom to ask
	RecoveryURL  string // the page with Recovery; may be empty
	Remember     bool   // FieldRemember is offered
	Passkey      *Passkey
}

// Factor asks for a second factor alone: FieldCode, FieldRecovery with Recovery,
// or a passkey.
type Factor struct {
	Common
	Action      string
	User        string
	Code        bool
	Recovery    bool
	RecoveryURL string
	ResyncURL   string // the page Resync; may be empty
	OtherURL    string // starts again with another account; may be empty
	Remember    bool
	Passkey     *Passkey
}

// Chooser asks whether to go on with the account that is signed in:
// FieldChoice is «continue» or «other».
type Chooser struct {
	Common
	Action string
	User   string
	Name   string // the name to show; may be empty
	// External is the name of the external provider that the user comes from
	// without having asked here; empty if the request began here.
	External string
	// Replaces is the user who is signed in now and will be signed out; may be empty.
	Replaces string
}

// MailedCode asks for a code that was sent by mail, FieldCode: the first
// enrolment of a factor that is required needs one.
type MailedCode struct {
	Common
	Action string
	Email  string // masked
	// NoMail: there is no address that a code could be sent to; an operator's
	// link does the same.
	NoMail    bool
	ResendURL string
	LaterURL  string // goes on without a factor; may be empty
	Valid     time.Duration
}

// EnrolChoice asks for the kind of factor to set up, FieldKind: totp, hotp or
// passkey.
type EnrolChoice struct {
	Common
	Action   string
	Kinds    []string
	Required bool
	Later    bool // FieldChoice «later» is offered
}

// EnrolCode sets up an app (TOTP) or a token (HOTP): FieldCode shows that it
// works, FieldLabel is its name.
type EnrolCode struct {
	Common
	Action string
	Kind   string // totp or hotp
	URI    string // otpauth://, shown as a QR code
	Secret string // the seed in base32, shown in groups
	Label  string
	Cancel string // may be empty
}

// EnrolPasskey makes a passkey: FieldCredential and FieldLabel.
type EnrolPasskey struct {
	Common
	Passkey Passkey
	Label   string
	Cancel  string // may be empty
}

// RecoveryCodes shows recovery codes, once. It goes on by a form without fields of
// its own, or by a link.
type RecoveryCodes struct {
	Common
	Action string
	Next   string // in the place of Action
	Codes  []string
}

// NewPassword asks for a new password: FieldNewPassword and FieldRepeat, with
// Current FieldPassword as well.
type NewPassword struct {
	Common
	Action  string
	User    string
	Reason  string // due, reset, operator or change
	Current bool
	Rules   []Text
	Cancel  string // may be empty
}

// Resync asks for two successive codes of a token whose counter has run away:
// FieldCode and FieldCode2.
type Resync struct {
	Common
	Action string
	User   string
	Cancel string
}

// LinkAccount says that the user of an external provider has an account here,
// and that signing in to it once joins the two: FieldChoice is «continue» or
// «cancel».
type LinkAccount struct {
	Common
	Action   string
	External string
	User     string // of the external provider
}

// SignOut asks whether to sign out: FieldChoice is «signout» or «stay».
type SignOut struct {
	Common
	Action string
	User   string
}

// SignedOut says that the user is signed out.
type SignedOut struct {
	Common
	SignInURL string // may be empty
}

// FormPost posts fields to an application at once, by a script, or by a button
// (OAuth 2.0 Form Post Response Mode).
type FormPost struct {
	Common
	Action string // the redirect URI
	Origin string // of Action
	Fields map[string]string
}

// Continue leads to an address at once.
type Continue struct {
	Common
	URL string
}
