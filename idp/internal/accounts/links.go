package accounts

// LinkKind says what a link is for. It is the kind of its ticket.
type LinkKind string

const (
	LinkReset     LinkKind = "reset"      // set a new password
	LinkInvite    LinkKind = "invite"     // create an account
	LinkFirstUser LinkKind = "first-user" // create the first account
	LinkEmail     LinkKind = "email"      // confirm a new e-mail address
	LinkUndoEmail LinkKind = "undo-email" // go back to the old address
	LinkEnrol     LinkKind = "enrol"      // enrol the first factor that is required
)
