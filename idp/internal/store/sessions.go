package store

import "time"

// Session is a single sign-on session of a user in one browser.
type Session struct {
	Cookie    Hash   // hash of the secret in the browser's cookie
	SID       string // the sid of ID tokens and logout tokens; does not change with the cookie
	UserID    string
	Created   time.Time
	AuthTime  time.Time // when the user was last authenticated
	AMR       []string  // authentication methods, RFC 8176
	ACR       string
	External  string    // id of the external provider, if one authenticated the user
	LastSeen  time.Time // updated at most once a minute
	Expires   time.Time
	UserAgent string // for display, at most 256 bytes
	Address   string // for display
	// Proven maps authentication methods (AMR values) to when each was last proven.
	Proven map[string]time.Time
}

// Sessions stores the single sign-on sessions, and the applications at which they were
// used.
type Sessions interface {
	// SessionByCookie returns a session that has not expired by now.
	SessionByCookie(cookie Hash, now time.Time) (*Session, error)
	// Session and SessionsOf also return expired sessions until Sweep deletes them.
	Session(sid string) (*Session, error)
	SessionsOf(userID string) ([]Session, error)
	// PutSession adds or changes a session. The SID identifies it.
	PutSession(Session) error
	DeleteSession(sid string) error
	// AddSessionClient records that an application has received tokens from a session.
	// The error is ErrNotFound if the session has ended.
	AddSessionClient(sid, clientID string) error
	// SessionClients returns the applications added by AddSessionClient. They are kept
	// until the session would have expired, even if it ends earlier, and can thus be told
	// about a logout.
	SessionClients(sid string) ([]string, error)
}

// Request is something that a browser asked for and that requires a sign-in, usually an
// authorization request.
type Request struct {
	ID      string
	Browser Hash   // hash of the secret in the browser's cookie for this request
	Data    []byte // JSON; see package request
	Created time.Time
	Expires time.Time
}

// Requests stores the requests in flight.
type Requests interface {
	// Request returns a request, even if it has expired.
	Request(id string) (*Request, error)
	PutRequest(Request) error
	// TakeRequest deletes and returns a request. Only one of several callers gets it.
	TakeRequest(id string) (*Request, error)
}

// Ticket is a secret that can be used once, such as a link in a mail or a challenge.
type Ticket struct {
	Hash    Hash
	Kind    string
	UserID  string // empty if it does not belong to a user
	Data    []byte // JSON, depending on the kind
	Created time.Time
	Expires time.Time
}

// Tickets stores secrets that can be used once, and ids that must not be used twice.
type Tickets interface {
	// Ticket returns a ticket that has not expired by now, without using it up.
	Ticket(kind string, hash Hash, now time.Time) (*Ticket, error)
	// AddTicket adds a ticket. The error is ErrExists if there is one with the same kind
	// and hash, even if it has expired, until Sweep deletes it.
	AddTicket(Ticket) error
	// TakeTicket deletes and returns a ticket that has not expired by now.
	TakeTicket(kind string, hash Hash, now time.Time) (*Ticket, error)
	// DeleteTickets deletes a user's tickets of the given kinds, or all if none is given.
	DeleteTickets(userID string, kinds ...string) error
	// TicketsOf returns a user's tickets of one kind, including expired ones.
	TicketsOf(userID, kind string) ([]Ticket, error)
}

// Grant is what an application was granted: a code, and the tokens obtained with it.
type Grant struct {
	ID       string
	ClientID string
	UserID   string
	SID      string
	Code     Hash      // zero if there is none
	CodeUsed time.Time // zero until the code was exchanged
	CodeEnds time.Time
	Refresh  Hash // hash of the current refresh token; zero if there is none
	Data     []byte
	Created  time.Time
	Expires  time.Time // when the last of its codes and tokens expires
	Revoked  time.Time // zero unless revoked
	// Retired are the hashes of earlier refresh tokens. If one of them is used again, the
	// tokens have been stolen.
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

// Grants stores codes, refresh tokens and access tokens.
type Grants interface {
	Grant(id string) (*Grant, error)
	GrantByCode(code Hash) (*Grant, error)
	// GrantByRefresh returns the grant of a refresh token, even of a retired one.
	GrantByRefresh(refresh Hash) (*Grant, error)
	PutGrant(Grant) error
	// RevokeGrants revokes the grants, with their access tokens, that match all of
	// userID, sid and clientID. An empty argument matches everything, but one must be
	// given.
	RevokeGrants(userID, sid, clientID string, now time.Time) error
	// RevokeOtherGrants revokes all grants of a user, with their access tokens, except
	// those of the session butSID.
	RevokeOtherGrants(userID, butSID string, now time.Time) error
	Token(hash Hash) (*Token, error)
	PutToken(Token) error
	// RevokeTokens revokes the access tokens of a grant.
	RevokeTokens(grantID string, now time.Time) error
}
