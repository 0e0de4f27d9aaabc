package pages

import "time"

// UserName asks for the user name or e-mail address: FieldUserName, or FieldExternal if
// the button of an external provider was pressed.
type UserName struct {
	Common
	Action    string
	Value     string // initial value of the field
	Externals []External
	Passkey   *Passkey // nil if passkeys are not offered
	// NoAccounts is set if no account has ever been created. The page then names the
	// command that creates the first one.
	NoAccounts bool
}

// Password asks for the password, FieldPassword. With Code, it also asks for a code,
// FieldCode; with Recovery, for a recovery code, FieldRecovery.
type Password struct {
	Common
	Action       string
	User         string // as it was typed
	Code         bool
	CodeRequired bool   // otherwise the field says «if you use a code»
	Recovery     bool   // ask for a recovery code instead of a code
	Resync       bool   // ask for two successive codes, FieldCode and FieldCode2, instead of one
	ResyncURL    string // this page with Resync; may be empty
	OtherURL     string // back to the user name page
	ResetURL     string // for a forgotten password; if empty, the page tells whom to ask
	RecoveryURL  string // this page with Recovery; may be empty
	Remember     bool   // offer FieldRemember
	Passkey      *Passkey
}

// Factor asks only for a second factor: FieldCode, FieldRecovery if Recovery is set, or a
// passkey.
type Factor struct {
	Common
	Action      string
	User        string
	Code        bool
	Recovery    bool
	RecoveryURL string
	ResyncURL   string // the Resync page; may be empty
	OtherURL    string // to start again with another account; may be empty
	Remember    bool
	Passkey     *Passkey
}

// Chooser asks whether to continue with the account that is signed in. FieldChoice is
// "continue" or "other".
type Chooser struct {
	Common
	Action string
	User   string
	Name   string // the display name; may be empty
	// External is the name of the external provider that sent the user here unsolicited.
	// It is empty if the request began here.
	External string
	// Replaces is the user who is signed in and is about to be signed out; may be empty.
	Replaces string
}

// MailedCode asks for a code that was sent by mail, FieldCode. It is required for the
// enrolment of the first factor if a factor is required.
type MailedCode struct {
	Common
	Action string
	Email  string // masked
	// NoMail is set if there is no address to send a code to. An operator's link can be
	// used instead.
	NoMail    bool
	ResendURL string
	LaterURL  string // to continue without a factor; may be empty
	Valid     time.Duration
}

// EnrolChoice asks for the kind of factor to enrol, FieldKind: totp, hotp or passkey.
type EnrolChoice struct {
	Common
	Action   string
	Kinds    []string
	Required bool
	Later    bool // offer the FieldChoice "later"
}

// EnrolCode sets up an app (TOTP) or a token (HOTP): FieldCode proves that it works, and
// FieldLabel is its name.
type EnrolCode struct {
	Common
	Action string
	Kind   string // totp or hotp
	URI    string // otpauth://…, shown as a QR code
	Secret string // the seed in base32, shown in groups of four
	Label  string
	Cancel string // may be empty
}

// EnrolPasskey creates a passkey: FieldCredential and FieldLabel.
type EnrolPasskey struct {
	Common
	Passkey Passkey
	Label   string
	Cancel  string // may be empty
}

// RecoveryCodes shows recovery codes, once. The user continues with a form that has only
// hidden fields, or with a link.
type RecoveryCodes struct {
	Common
	Action string
	Next   string // URL of the link, instead of Action
	Codes  []string
}

// NewPassword asks for a new password: FieldNewPassword and FieldRepeat, and with Current
// also FieldPassword.
type NewPassword struct {
	Common
	Action  string
	User    string
	Reason  string // due, reset, operator or change
	Current bool
	Rules   []Text
	Cancel  string // may be empty
}

// Resync asks for two successive codes of a token whose counter is out of step: FieldCode
// and FieldCode2.
type Resync struct {
	Common
	Action string
	User   string
	Cancel string
}

// LinkAccount tells the user of an external provider that there is an account here, and
// that signing in to it once links the two. FieldChoice is "continue" or "cancel".
type LinkAccount struct {
	Common
	Action   string
	External string
	User     string // the user's name at the external provider
}

// SignOut asks whether to sign out. FieldChoice is "signout" or "stay".
type SignOut struct {
	Common
	Action string
	User   string
}

// SignedOut reports that the user has been signed out.
type SignedOut struct {
	Common
	SignInURL string // may be empty
}

// FormPost immediately posts fields to an application, by script or else by a button
// (OAuth 2.0 Form Post Response Mode).
type FormPost struct {
	Common
	Action string // the redirect URI
	Origin string // the origin of Action
	Fields map[string]string
}

// Continue immediately leads to a URL.
type Continue struct {
	Common
	URL string
}
