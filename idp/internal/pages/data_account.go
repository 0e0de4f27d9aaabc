package pages

import "time"

// ResetRequest asks for the user name or e-mail address of an account whose password has
// been forgotten: FieldUserName. Like Link, it is also the target of the link in the
// mail. With Sent, it explains what happens next, whether or not the account exists.
type ResetRequest struct {
	Common
	Action string
	Value  string
	Sent   bool
	// NoMail is set if this site sends no mail. The page then tells users whom to ask.
	NoMail    bool
	Valid     time.Duration // validity of the link
	SignInURL string
}

// Link is the page that a link in a mail leads to. The secret is in the fragment of the
// URL, and a script posts it as FieldToken. Without JavaScript, users type the short code
// in the mail: FieldLinkCode.
type Link struct {
	Common
	Action string
	Kind   string // reset, invite, first_user, email, undo, enrol
}

// Register creates an account with an invitation or with the link for the first account:
// FieldUserName, FieldName, FieldEmail, FieldNewPassword and FieldRepeat.
type Register struct {
	Common
	Action string
	Kind   string // invite or first_user
	User   string
	Name   string
	Email  string
	// EmailFixed is set if the invitation is for the address in Email.
	EmailFixed bool
	Rules      []Text
}

// Message reports that something has been done. Its texts are Key.title and Key.message.
type Message struct {
	Common
	Key           string
	Values        map[string]string
	Link, LinkKey string // where to go next; may be empty
}

// Confirm asks for confirmation. Its texts are Key.title, Key.message and Key.button.
type Confirm struct {
	Common
	Action string
	Key    string
	Values map[string]string
	Cancel string // a URL
}

// Account is the account page. Its URLs lead to other pages, except for SessionURL and
// SignOutURL, to which forms are posted. FieldID identifies the object of a button, and
// FieldKind is the kind of factor to add.
type Account struct {
	Common
	User          string
	Name          string
	Email         string
	EmailVerified bool
	PendingEmail  string // a new address that has not been confirmed yet
	HasPassword   bool
	Changed       time.Time // when the password was last set
	Factors       []AccountFactor
	Kinds         []string // kinds of factors that can be added
	RecoveryCodes int      // number of unused codes
	Sessions      []AccountSession
	Externals     []AccountExternal
	CanMail       bool // whether the e-mail address can be changed

	PasswordURL, EmailURL, NameURL, AddURL, RenameURL, RemoveURL, RecoveryURL, SessionURL, UnlinkURL, SignOutURL string
}

// AccountFactor is a factor of the user.
type AccountFactor struct {
	ID, Kind, Label   string
	Created, LastUsed time.Time
}

// AccountSession is a session of the user.
type AccountSession struct {
	ID, UserAgent, Address string
	Created, LastSeen      time.Time
	Current                bool
}

// AccountExternal is a linked external account of the user.
type AccountExternal struct {
	ID, Provider, Name string
	Created, LastUsed  time.Time
}

// EmailChange asks for a new e-mail address, FieldEmail.
type EmailChange struct {
	Common
	Action, Value, Cancel string
}

// Rename asks for a name: that of a factor in FieldLabel or, with Person, the user's
// display name in FieldName.
type Rename struct {
	Common
	Action, ID, Value, Cancel string
	Person                    bool
}
