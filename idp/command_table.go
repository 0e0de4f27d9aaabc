package oidcidp

// This file lists the subcommands that execute one operation of package operator.

// noun is a group of subcommands.
type noun struct {
	name, short string
	verbs       []subcommand
}

// Flags that several subcommands have.
var (
	yesFlag     = flag{name: "yes", kind: boolFlag, help: "Confirm: this cannot be undone, or reveals something"}
	groupsFlag  = flag{name: "groups", kind: listFlag, help: "Groups, separated by commas; missing ones are created"}
	authFlag    = flag{name: "authenticator", kind: textFlag, help: "The login authenticator (default: default)"}
	groupFlag   = flag{name: "group", kind: textFlag, help: "Only members of this group"}
	searchFlag  = flag{name: "search", kind: textFlag, help: "Only those with this in the name, display name or e-mail address"}
	removedFlag = flag{name: "removed", kind: boolFlag, help: "Removed ones as well"}
	listFlags   = []flag{groupFlag, searchFlag, removedFlag}
)

// profileFlags are what is known of a person.
var profileFlags = []flag{
	{name: "email", kind: textFlag, help: "E-mail address"},
	{name: "email-verified", kind: boolFlag, help: "The address is known to be the user's"},
	{name: "display-name", kind: textFlag, help: "Name as it is shown"},
	{name: "given-name", kind: textFlag, help: "Given name"},
	{name: "family-name", kind: textFlag, help: "Family name"},
	{name: "language", kind: textFlag, help: "Language, such as de"},
	authFlag, groupsFlag,
}

// userFields are what is shown of a user.
var userFields = []string{
	"name", "subject", "kind", "status", "email", "email_verified", "display_name", "given_name", "family_name", "language", "authenticator", "groups",
	"has_password", "created", "last_sign_in",
}

var userColumns = []string{"name", "email", "display_name", "groups", "authenticator", "status", "last_sign_in"}

// nouns are all groups of subcommands.
var nouns = []noun{
	{"user", "Add, change and remove users", []subcommand{
		{
			use: "add <name>", operation: "user/add", params: []string{"name"}, short: "Add a user",
			long: `
Adds a user. Prints a link with which the user sets a password, unless
--password-stdin reads one.`,
			flags: append([]flag{
				{name: "password-stdin", kind: stdinFlag, field: "password", help: "Read the initial password from the first line of standard input"},
				{name: "must-change", kind: boolFlag, help: "The user must set a new password at the first sign-in"},
			}, profileFlags...),
			shows: append(userFields, "link", "code", "link_expires"),
		},
		{use: "list", operation: "user/list", short: "List users", flags: listFlags, list: "users", shows: userColumns, pages: true},
		{
			use: "show <user>", operation: "user/show", params: []string{"user"}, short: "Show all about a user",
			long:  "\nShows an account with its factors, linked accounts and sessions. A user is named by\nname, e-mail address or subject.",
			shows: append(userFields, "factors", "recovery_codes", "identities", "keys", "sessions", "locked_until", "codes_locked"),
		},
		{
			use: "set <user>", operation: "user/set", params: []string{"user"}, short: "Change a user",
			long: "\nChanges what flags name, and nothing else. An empty value removes what there was.",
			flags: append([]flag{
				{name: "add-groups", kind: listFlag, help: "Groups to add, separated by commas"},
				{name: "remove-groups", kind: listFlag, help: "Groups to remove, separated by commas"},
				{name: "must-change", kind: boolFlag, help: "A new password is due at the next sign-in"},
				{name: "must-enrol", kind: boolFlag, help: "A factor must be enrolled at the next sign-in"},
			}, profileFlags...),
			shows: userFields,
		},
		{use: "lock <user>", operation: "user/lock", params: []string{"user"}, short: "Keep a user from signing in, and end all sessions", shows: userFields},
		{use: "unlock <user>", operation: "user/unlock", params: []string{"user"}, short: "Let a user sign in again, also after wrong attempts", shows: userFields},
		{
			use: "remove <user> --yes", operation: "user/remove", params: []string{"user"}, short: "Remove a user",
			long: `
Removes an account with all that it has, and ends all sessions. The subject is never
given again, and neither is the name, unless --reuse-name frees it: applications may
keep things under it.`,
			flags: []flag{yesFlag, {name: "reuse-name", kind: boolFlag, help: "Let another user have the name and the e-mail address"}},
			shows: userFields,
		},
		{use: "reuse-name <name> --yes", operation: "user/reuse-name", params: []string{"name"}, short: "Free the name of a removed user", flags: []flag{yesFlag}, shows: []string{"name"}},
		{
			use: "import <file>", operation: "user/import", files: []string{"csv"}, short: "Add the users of a CSV file",
			long: `
Adds the users of a CSV file whose first line names the columns: name, kind, email,
email_verified, display_name, given_name, family_name, language, authenticator, groups
(separated by semicolons), locked, must_change and password_hash (bcrypt or argon2).
Only name is needed. A line that is wrong is reported, and the others are imported.
"-" reads the standard input.`,
			flags: []flag{{name: "dry-run", kind: boolFlag, help: "Report what would happen to each line, and change nothing"}},
			shows: []string{"users", "failed", "failures"},
		},
		{
			use: "export", operation: "user/export", short: "Print all users as a CSV file",
			flags: []flag{{name: "hashes", kind: boolFlag, help: "Include password hashes; needs --yes"}, yesFlag}, raw: "csv",
		},
		{
			use: "reset-password <user> --yes", operation: "user/reset-password", params: []string{"user"}, short: "Print a link with which a user sets a password",
			long:  "\nPrints a link for the user, once, for 30 minutes. The user gets a notice by mail. The\nsign-in after it still wants the second factor.",
			flags: []flag{yesFlag}, shows: []string{"link", "code", "link_expires"},
		},
		{
			use: "reset-mfa <user> --yes", operation: "user/reset-mfa", params: []string{"user"}, short: "Remove all factors of a user",
			long:  "\nRemoves all factors and recovery codes of a user, and ends all sessions. At the next\nsign-in the user enrols a factor with the code that is printed, besides the password.",
			flags: []flag{yesFlag}, shows: []string{"code", "link_expires"},
		},
		{
			use: "add-token <user> --seed-stdin", operation: "user/add-token", params: []string{"user"}, short: "Give a user a hardware token",
			long: `
Gives a user a hardware token with a button, whose codes go by a counter (RFC 4226). Its
seed is the first line of the standard input, in hexadecimal or base32. If the token
was used before, --counter says which code is next.`,
			flags: []flag{
				{name: "seed-stdin", kind: stdinFlag, field: "seed", help: "Read the seed from the first line of standard input"},
				{name: "digits", kind: numberFlag, help: "Length of the codes: 6 or 8 (default: 6)"},
				{name: "counter", kind: numberFlag, help: "Counter of the next code (default: 0)"},
				{name: "label", kind: textFlag, help: "Label of the token, such as its serial number"},
			},
			shows: []string{"kind", "label", "created"},
		},
	}},
	{"group", "Add, list and remove groups", []subcommand{
		{
			use: "add <name>", operation: "group/add", params: []string{"name"}, short: "Add a group, or change it",
			flags: []flag{{name: "operator", kind: boolFlag, help: "External providers cannot put users into the group, or link accounts in it"}},
			shows: []string{"name", "operator", "created"},
		},
		{use: "list", operation: "group/list", short: "List groups", list: "groups", shows: []string{"name", "operator", "created"}},
		{use: "remove <name> --yes", operation: "group/remove", params: []string{"name"}, short: "Remove a group; its members leave it", flags: []flag{yesFlag}, shows: []string{"name"}},
	}},
	{"application", "Add, list and remove users that are programs", []subcommand{
		{
			use: "add <name>", operation: "application/add", params: []string{"name"}, short: "Add a program",
			long:  "\nAdds a user that is a program. It has no password, and signs in with access keys; see\nkey add.",
			flags: []flag{{name: "display-name", kind: textFlag, help: "Name as it is shown"}, groupsFlag}, shows: userFields,
		},
		{use: "list", operation: "application/list", short: "List programs", flags: listFlags, list: "users", shows: []string{"name", "display_name", "groups", "status", "created"}, pages: true},
		{use: "remove <name> --yes", operation: "application/remove", params: []string{"user"}, short: "Remove a program and its keys", flags: []flag{yesFlag}, shows: userFields},
	}},
	{"key", "Add, list and remove access keys of programs", []subcommand{
		{
			use: "add <application>", operation: "key/add", params: []string{"application"}, short: "Make an access key, and print it once",
			flags: []flag{{name: "expires", kind: durationFlag, field: "expires_in", help: "How long the key works, such as 90d (default: forever)"}},
			shows: []string{"id", "application", "key", "created", "expires"},
		},
		{use: "list <application>", operation: "key/list", params: []string{"application"}, short: "List the access keys of a program", list: "keys", shows: []string{"id", "created", "expires", "last_used"}},
		{use: "remove <application> <id>", operation: "key/remove", params: []string{"application", "id"}, short: "Remove an access key", shows: []string{"id", "application"}},
	}},
	{"authenticator", "List login authenticators, and give them to users", []subcommand{
		{
			use: "list", operation: "authenticator/list", short: "List the login authenticators of the configuration", list: "authenticators",
			shows: []string{"name", "mfa", "factors", "min_length", "max_age", "lockout_attempts", "lockout_duration", "session_lifetime", "remember_device", "users"},
		},
		{
			use: "assign <authenticator> [<user>...]", operation: "authenticator/assign", params: []string{"authenticator", "users..."}, short: "Give users a login authenticator",
			flags: []flag{{name: "group", kind: textFlag, help: "All members of this group"}}, shows: []string{"authenticator", "users"},
		},
	}},
	{"external", "Show external providers, and link accounts", []subcommand{
		{use: "list", operation: "external/list", short: "List external providers", list: "externals", shows: []string{"id", "name", "kind", "domains", "disabled"}},
		{
			use: "show <id>", operation: "external/show", params: []string{"id"}, short: "Show what an external provider has to know of this one",
			shows: []string{"id", "name", "kind", "domains", "disabled", "redirect_uri", "entity_id", "assertion_consumer_service", "keys"},
		},
		{
			use: "link <id> <user> --yes", operation: "external/link", params: []string{"external", "user"}, short: "Link an account of an external provider to a user",
			long: `
Links an account of an external provider to a user, who can sign in with it from then
on, and gets a notice by mail. Let the user try to sign in there: the log has the
attempt that was refused, and --attempt takes it, for a day.

Or name the subject with --subject, which is what the external provider calls the user
for ever: the sub of OpenID Connect, the number of an account at GitHub or Discord, or
the NameID of SAML with its format and qualifiers.`,
			flags: []flag{
				{name: "attempt", kind: textFlag, help: "The refused sign-in attempt, as in the log"},
				{name: "subject", kind: textFlag, field: "external_subject", help: "The external provider's identifier for the user"},
				{name: "issuer", kind: textFlag, help: "Issuer or entity ID of the external provider (default: that of the configuration)"},
				{name: "format", kind: textFlag, help: "Format of a NameID: persistent, email, unspecified, or a full name (default: none)"},
				{name: "name-qualifier", kind: textFlag, help: "NameQualifier of a NameID"},
				{name: "sp-name-qualifier", kind: textFlag, help: "SPNameQualifier of a NameID"},
				{name: "attribute", kind: boolFlag, help: "The subject is the value of the attribute that the option username names"},
				yesFlag,
			},
			shows: []string{"external", "issuer", "external_subject", "created"},
		},
		{
			use: "unlink <id> <user>", operation: "external/unlink", params: []string{"external", "user"}, short: "Remove the link between an external account and a user",
			long:  "\nRemoves the link, and ends the sessions that began at the external provider. The user\ngets a notice by mail.",
			flags: []flag{{name: "subject", kind: textFlag, field: "external_subject", help: "Which one, if there are several; user show lists them"}},
			shows: []string{"external", "issuer", "external_subject"},
		},
		{
			use: "rotate-keys <id>", operation: "external/rotate-keys", params: []string{"id"}, short: "Make new keys at a SAML identity provider",
			long: `
Makes new keys for requests and encrypted assertions. They are in the metadata at once,
beside the old ones, and sign in seven days, or after --after. Until then, have the
provider load the metadata. What is encrypted for the old keys is accepted for as long
once more.

With --compromised, the old keys are gone at once: the provider refuses our requests
until it has the new metadata.`,
			flags: []flag{
				{name: "after", kind: durationFlag, help: "When the new keys start to sign, such as 14d (default: 7d)"},
				{name: "compromised", kind: boolFlag, help: "Someone else has the keys; needs --yes"}, yesFlag,
			},
			shows: []string{"id", "metadata", "keys"},
		},
	}},
	{"invite", "Invite people to make an account", []subcommand{
		{
			use: "add [<e-mail address>]", operation: "invite/add", params: []string{"email?"}, short: "Print a link with which one person makes an account",
			long:  "\nPrints a link, once, for seven days. The account has the e-mail address that the invite\nis for. With --open, whoever has the link makes an account.",
			flags: []flag{{name: "open", kind: boolFlag, help: "Anyone with the link may use it"}, authFlag, groupsFlag}, shows: []string{"id", "email", "groups", "authenticator", "link", "code", "expires"},
		},
		{use: "list", operation: "invite/list", short: "List invites that can still be used", list: "invites", shows: []string{"id", "email", "groups", "authenticator", "created", "expires"}},
		{use: "remove <id>", operation: "invite/remove", params: []string{"id"}, short: "Remove an invite", shows: []string{"id"}},
	}},
	{"sessions", "List and end single sign-on sessions", []subcommand{
		{use: "list <user>", operation: "sessions/list", params: []string{"user"}, short: "List the sessions of a user", list: "sessions", shows: []string{"id", "created", "last_used", "expires", "acr", "amr", "address", "applications"}},
		{
			use: "end <user> [<id>]", operation: "sessions/end", params: []string{"user", "id?"}, short: "End a session, or all of a user",
			long:  "\nEnds a session everywhere: here, at the sites of this Caddy within seconds, and at the\napplications that have a back channel.",
			shows: []string{"user", "subject", "id"},
		},
	}},
	{"keys", "List and rotate the keys of the provider", []subcommand{
		{use: "list", operation: "keys/list", short: "List the keys that tokens are signed with", list: "keys", shows: []string{"id", "algorithm", "status", "created", "signs_from", "published_until"}},
		{
			use: "rotate", operation: "keys/rotate", short: "Make new keys",
			long: `
Makes new keys. Those that tokens are signed with are published at once and sign an hour
later, so that applications know them by then; the old ones are published for another
day. A key in Caddy's storage, which seals and hashes from now on, is made as well.

With --compromised, the old signing keys are gone at once: tokens that they signed are
refused.`,
			flags: []flag{{name: "compromised", kind: boolFlag, help: "Someone else has the keys; needs --yes"}, yesFlag},
			shows: []string{"keys", "storage_key", "signs_from", "old_keys_published_until"},
		},
	}},
}
