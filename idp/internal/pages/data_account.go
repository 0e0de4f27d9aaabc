package pages

import "time"

// ResetRequest asks whose password is forgotten: FieldUserName. The link of the
// mail leads to it, too, as to the page Link. With Sent it says what happens next,
// which is the same whether the account exists or not.
type ResetRequest struct {
	Common
	Action string
	Value  string
	Sent   bool
	// NoMail: this site sends no mail, so the page says whom to ask.
	NoMail    bool
	Valid     time.Duration // of the link
	SignInURL string
}

// Link is where a link of a mail leads. Its secret is in the fragment of the
// address, from where a script posts it as FieldToken; without a script users type
// the short code of the mail, FieldLinkCode.
type Link struct {
	Common
	Action string
	Kind   string // reset, invite, first_user, email, undo, enrol
}

// Register makes an account of an invitation or of the link for the first one:
// FieldUserName, FieldName, FieldEmail, FieldNewPassword and FieldRepeat.
type Register struct {
	Common
	Action string
	Kind   string // invite or first_user
	User   string
	Name   string
	Email  string
	// EmailFixed: the invitation is for this address.
	EmailFixed bool
	Rules      []Text
}

// Message says that something is done. Key is that of its texts: Key.title and
// Key.message.
type Message struct {
	Common
	Key           string
	Values        map[string]string
	Link, LinkKey string // leads on; may be empty
}

// Confirm asks whether to do something. Key is that of its texts: Key.title,
// Key.message and Key.button.
type Confirm struct {
	Common
	Action string
	Key    string
	Values map[string]string
	Cancel string // an address
}

// Account is a user's own page. Its addresses are those of pages; SessionURL and
// SignOutURL are those of forms. FieldID says which of several it is about, and
// FieldKind which kind of factor is to be added.
type Account struct {
	Common
	User          string
	Name          string
	Email         string
	EmailVerified bool
	PendingEmail  string // a new address that was not clicked yet
	HasPassword   bool
	Changed       time.Time // when the password was set
	Factors       []AccountFactor
	Kinds         []string // of factors that can be added
	RecoveryCodes int      // left
	Sessions      []AccountSession
	Externals     []AccountExternal
	CanMail       bool // an e-mail address can be changed

	PasswordURL, EmailURL, NameURL, AddURL, RenameURL, RemoveURL, RecoveryURL, SessionURL, UnlinkURL, SignOutURL string
}

// AccountFactor is a factor of the user's.
type AccountFactor struct {
	ID, Kind, Label   string
	Created, LastUsed time.Time
}

// AccountSession is a session of the user's.
type AccountSession struct {
	ID, UserAgent, Address string
	Created, LastSeen      time.Time
	Current                bool
}

// AccountExternal is an account of an external provider that is linked.
type AccountExternal struct {
	ID, Provider, Name string
	Created, LastUsed  time.Time
}

// EmailChange asks for a new e-mail address, FieldEmail.
type EmailChange struct {
	Common
	Action, Value, Cancel string
}

// Rename asks for the name of a factor, FieldLabel, or with Person for the
// user's own, FieldName.
type Rename struct {
	Common
	Action, ID, Value, Cancel string
	Person                    bool
}
