// Package program recognizes the credentials that programs send with a request: an
// access key or another bearer token in Authorization, an access key in a header of
// its own, or one as the password of HTTP Basic.
//
// It knows where credentials are, which of them are for whom, and that there may be
// one only. What a credential is worth, its Verifier knows. What follows for the
// request is decided by package flow.
package program

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// KeyPrefix is what every access key begins with.
const KeyPrefix = "orp_"

// Ids that no provider can have, since they come before the names of programs.
const (
	KeyProvider    = "key"
	ClientProvider = "client"
)

// Verifier finds out what credentials of one kind are worth. It is safe for
// concurrent use.
type Verifier interface {
	// Kind is the kind of the credentials.
	Kind() Kind
	// Recognizes reports whether a bearer token is for this verifier, whatever it is
	// worth. Only one verifier judges a token.
	Recognizes(token string) bool
	// Verify returns the session that a token stands for. Its Provider is the id of
	// one of the instance's providers, or of those that are for programs alone. Many
	// requests may share it; what is found out about it is remembered in it. An error
	// is a *Refusal, or an *UnavailableError where the token could not be judged.
	Verify(ctx context.Context, token string) (*sessionstore.Loaded, error)
}

// Kind is what kind of credential a verifier judges.
type Kind uint8

// The kinds.
const (
	Key Kind = iota
	JWT
	Introspection
	Kinds // how many there are
)

func (k Kind) String() string { return [...]string{"key", "jwt", "introspection"}[k] }

// Refusal is why a credential is worth nothing. It repeats nothing of it.
type Refusal struct {
	// Reason is for the log.
	Reason string
	// Session is what the credential stood for once; nil if that is unknown.
	Session *session.Session
}

func (e *Refusal) Error() string { return "the credential is not valid: " + e.Reason }

// UnavailableError is why a credential cannot be judged now.
type UnavailableError struct {
	Err error
	// RetryAfter is when another attempt can work.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return "the credential cannot be checked now: " + e.Err.Error()
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// ErrSeveral is returned for a request with more than one credential.
var ErrSeveral = errors.New("the request has more than one credential")

// Accepted is what one instance accepts.
type Accepted struct {
	// Keys judges access keys; nil for none.
	Keys Verifier
	// Bearers judge all other bearer tokens. The first that recognizes a token judges
	// it.
	Bearers []Verifier
	// Headers are the canonical names of headers where an access key may be.
	Headers []string
	// Basic reports whether an access key may be the password of HTTP Basic.
	Basic bool
}

// Scheme is where a credential was.
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

// Verify returns the session that the credential stands for, as Verifier does.
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

// Lines are the lines of a request's header where credentials can be, as the client
// sent them.
type Lines struct {
	Authorization []string
	named         []namedLines
}

type namedLines struct {
	name  string
	lines []string
}

// LinesOf returns the lines of Authorization and of the headers of these names, or nil
// if there are none. They are still there when the header has lost them.
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

// Find returns the credential among the lines, of which there may be none. All else in
// Authorization is the application's. It is ErrSeveral if there are two, or two lines of
// one; then the credential is that in Authorization, if there is one.
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
