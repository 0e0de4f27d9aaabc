// Package program recognizes the credentials that programs send with a request: an
// access key or another bearer token in Authorization, an access key in a header of
// its own, or one as the password of HTTP Basic.
//
// The package finds the one credential of a request and selects its Verifier, which
// verifies it. Package flow handles requests.
package program

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// KeyPrefix is the prefix of access keys.
const KeyPrefix = "orp_"

// Ids that no provider can have, because they are prefixes of the names of
// programs.
const (
	KeyProvider    = "key"
	ClientProvider = "client"
)

// Verifier verifies credentials of one kind. It is safe for concurrent use.
type Verifier interface {
	// Kind returns the kind of the credentials.
	Kind() Kind
	// Recognizes reports whether a bearer token is for this verifier, valid or not.
	// Only one verifier verifies a token.
	Recognizes(token string) bool
	// Verify returns the session of a token. Its Provider is the id of one of the
	// instance's providers, or of one for programs only. Requests share the result
	// and its caches. The error is a *Refusal, or an *UnavailableError if the token
	// could not be verified.
	Verify(ctx context.Context, token string) (*sessionstore.Loaded, error)
}

// Kind is the kind of credential that a verifier verifies.
type Kind uint8

// The kinds.
const (
	Key Kind = iota
	JWT
	Introspection
	Kinds // number of kinds
)

func (k Kind) String() string { return [...]string{"key", "jwt", "introspection"}[k] }

// Refusal means that a credential is not valid. It does not repeat the credential.
type Refusal struct {
	// Reason is for the log.
	Reason string
	// Session is the session that the credential was for; nil if unknown.
	Session *session.Session
}

func (e *Refusal) Error() string { return "the credential is not valid: " + e.Reason }

// UnavailableError means that a credential cannot be verified now.
type UnavailableError struct {
	Err error
	// RetryAfter is how long to wait before another attempt.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return "the credential cannot be checked now: " + e.Err.Error()
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// ErrSeveral means that a request has more than one credential.
var ErrSeveral = errors.New("the request has more than one credential")

// Accepted configures the credentials that an instance accepts.
type Accepted struct {
	// Keys verifies access keys; nil if they are not accepted.
	Keys Verifier
	// Bearers verify all other bearer tokens. The first that recognizes a token
	// verifies it.
	Bearers []Verifier
	// Headers are the canonical names of headers that may contain an access key.
	Headers []string
	// Basic reports whether an access key may be the password of HTTP Basic.
	Basic bool
}

// Scheme is where in the header a credential was.
type Scheme uint8

// The schemes.
const (
	None   Scheme = iota
	Bearer        // in Authorization, as a bearer token
	Basic         // in Authorization, as the password of HTTP Basic
	Header        // in a header of its own
)

// Credential is the credential of a request. The zero value is none.
type Credential struct {
	Scheme   Scheme
	user     string // of HTTP Basic
	token    string
	verifier Verifier // nil for what is none by its form
}

// Kind returns the kind of the credential. What has not the form of one is where only
// access keys are.
func (c *Credential) Kind() Kind {
	if c.verifier == nil {
		return Key
	}
	return c.verifier.Kind()
}

// Verify verifies the credential; see Verifier.
func (c *Credential) Verify(ctx context.Context) (*sessionstore.Loaded, error) {
	if c.verifier == nil {
		return nil, &Refusal{Reason: "it has not the form of one"}
	}
	l, err := c.verifier.Verify(ctx, c.token)
	if err == nil && c.Scheme == Basic && c.user != l.Session.Username {
		return nil, &Refusal{Reason: "the user name is not the name of the access key", Session: &l.Session}
	}
	return l, err
}

// Lines are the header values that may contain credentials, as the client sent
// them.
type Lines struct {
	Authorization []string
	named         []namedLines
}

type namedLines struct {
	name  string
	lines []string
}

// LinesOf returns the values of Authorization and of the named headers; nil if
// there are none. They remain available when they are removed from the header.
func LinesOf(header map[string][]string, names []string) *Lines {
	l := Lines{Authorization: header["Authorization"]}
	for _, name := range names {
		if lines, sent := header[name]; sent {
			l.named = append(l.named, namedLines{name, lines})
		}
	}
	if len(l.Authorization)+len(l.named) == 0 {
		return nil
	}
	return &l
}

// of returns the lines of a header.
func (l *Lines) of(name string) []string {
	for _, named := range l.named {
		if named.name == name {
			return named.lines
		}
	}
	return nil
}

// Find returns the credential in the lines, if there is one. Other values of
// Authorization are for the application. The error is ErrSeveral if there are two
// credentials, or two lines of one header; the credential is then that in
// Authorization, if any.
func (a *Accepted) Find(l *Lines) (c Credential, err error) {
	if l == nil {
		return Credential{}, nil
	}
	lines, ours := 0, 0
	for _, name := range a.Headers {
		for _, line := range l.of(name) {
			c = a.inHeader(line)
			lines++
		}
	}
	for _, line := range l.Authorization {
		if one := a.inAuthorization(line); one.Scheme != None {
			c, ours = one, len(l.Authorization)
		}
	}
	if lines+ours > 1 {
		return c, ErrSeveral
	}
	return c, nil
}
