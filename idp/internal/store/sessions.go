package store

import "time"

// Session is a single sign-on session: one browser of one user.
type Session struct {
	Cookie    Hash   // of the secret in the browser's cookie
	SID       string // the sid of ID tokens and logout tokens; it stays when the cookie changes
	UserID    string
	Created   time.Time
	AuthTime  time.Time // when the user last proved who they are
	AMR       []string  // RFC 8176
	ACR       string
	External  string    // the external provider of a brokered session
	LastSeen  time.Time // noted once a minute
	Expires   time.Time
	UserAgent string // to show, at most 256 bytes
	Address   string // to show
	// StepUps are the times at which a factor was last proven, by its AMR.
	Proven map[string]time.Time
}

// Sessions are the single sign-on sessions and the applications they were used
// at.
type Sessions interface {
	// SessionByCookie returns a session that has not expired at now.
	SessionByCookie(cookie Hash, now time.Time) (*Session, error)
	// Session and SessionsOf return expired ones too, until Sweep removes them.
	Session(sid string) (*Session, error)
	SessionsOf(userID string) ([]Session, error)
	// PutSession adds or changes a session; its SID is its key.
	PutSession(Session) error
	DeleteSession(sid string) error
	// AddSessionClient notes that an application got tokens of a session, or
	// returns ErrNotFound if the session has ended.
	AddSessionClient(sid, clientID string) error
	// SessionClients returns these applications. They outlive the session until
	// its expiry, so that a logout can reach them.
	SessionClients(sid string) ([]string, error)
}

// Request is something that a browser wants and that needs a sign-in: an
// authorization request, in most cases.
type Request struct {
	ID      string
	Browser Hash   // of the secret in the browser's cookie for this request
	Data    []byte // JSON; see package request
	Created time.Time
	Expires time.Time
}

// Requests are the requests in flight.
type Requests interface {
	// Request returns a request, an expired one too.
	Request(id string) (*Request, error)
	PutRequest(Request) error
	// TakeRequest removes a request and returns it: one caller gets it.
	TakeRequest(id string) (*Request, error)
}

// Ticket is a secret that can be used once: a link in a mail, a challenge.
type Ticket struct {
	Hash    Hash
	Kind    string
	UserID  string // empty if it is about no user
	Data    []byte // JSON, whatever its kind needs
	Created time.Time
	Expires time.Time
}

// Tickets are secrets that can be used once, and ids that must not come twice.
type Tickets interface {
	// Ticket returns a ticket that has not expired, without using it up.
	Ticket(kind string, hash Hash, now time.Time) (*Ticket, error)
	// AddTicket adds a ticket, or returns ErrExists if its kind has one with that
	// hash, even an expired one that Sweep has not removed.
	AddTicket(Ticket) error
	// TakeTicket removes a ticket that has not expired and returns it.
	TakeTicket(kind string, hash Hash, now time.Time) (*Ticket, error)
	// DeleteTickets removes a user's tickets of these kinds, of all if none is given.
	DeleteTickets(userID string, kinds ...string) error
	// TicketsOf returns a user's tickets of a kind, expired ones too.
	TicketsOf(userID, kind string) ([]Ticket, error)
}

// Grant is what an application was given: a code, and the tokens it led to.
type Grant struct {
	ID       string
	ClientID string
	UserID   string
	SID      string
	Code     Hash      // zero if there is none
	CodeUsed time.Time // zero until the code was exchanged
	CodeEnds time.Time
	Refresh  Hash // of the refresh token that is valid now; zero if there is none
	Data     []byte
	Created  time.Time
	Expires  time.Time // of the last thing that it gave
	Revoked  time.Time // zero unless revoked
	// Retired are the refresh tokens before this one: one of them that comes
	// again shows that the family was stolen.
	Retired []Hash
}

// Token is an access token.
type Token struct {
	Hash     Hash
	GrantID  string
	UserID   string
	ClientID string
	Data     []byte
	Created  time.Time
	Expires  time.Time
	Revoked  time.Time // zero unless revoked
}

// Grants are codes, refresh tokens and access tokens.
type Grants interface {
	Grant(id string) (*Grant, error)
	GrantByCode(code Hash) (*Grant, error)
	// GrantByRefresh finds a grant by its refresh token, a retired one too.
	GrantByRefresh(refresh Hash) (*Grant, error)
	PutGrant(Grant) error
	// RevokeGrants revokes the grants, and the access tokens, of a user, in a
	// session and at a client. What is empty does not narrow the choice; one of
	// them must be given.
	RevokeGrants(userID, sid, clientID string, now time.Time) error
	// RevokeOtherGrants revokes the grants, and the access tokens, of a user,
	// except those of the session butSID.
	RevokeOtherGrants(userID, butSID string, now time.Time) error
	Token(hash Hash) (*Token, error)
	PutToken(Token) error
	// RevokeTokens revokes the access tokens of a grant.
	RevokeTokens(grantID string, now time.Time) error
}
