package identity

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Bearer is a verified access token that came with a request.
type Bearer struct {
	Token *op.AccessToken
	// Raw is the token as it was sent; kept only if applications receive it.
	Raw string

	ID       session.ID
	Binding  session.Binding
	Now      time.Time
	Lifetime time.Duration // of the session if the token has no expiry
}

// errSID is the error for a sid that is no text.
var errSID = errors.New("sid is not a string")

// NewBearerSession returns the session of an access token: of a user, by the same
// mapping as for a login, or of a client, which is named by its id. The facts of
// the sign-in are those in the token. The error is ErrNoUsername if no claim names
// the user; other errors are about invalid claims.
func (m *Mapping) NewBearerSession(n *Needs, in Bearer) (*session.Session, error) {
	token := in.Token
	s := &session.Session{
		ID: in.ID, Binding: in.Binding, Provider: m.Provider,
		SignedIn: token.Issued, Seen: in.Now, Expires: token.Expires, IDTokenIssued: token.Claims.Issued(),
		Subject: textOf(token.Claims["sub"]), SID: textOf(token.Claims["sid"]),
		Requested: n.names,
	}
	if raw, sent := token.Claims["sid"]; sent && s.SID == "" && string(raw) != "null" {
		return nil, errSID
	}
	if s.Expires.IsZero() {
		s.Expires = in.Now.Add(in.Lifetime)
	}
	if _, err := Bound(s, token.Claims, in.Now); err != nil {
		return nil, err
	}
	s.AuthTime, s.ACR = op.AuthOf(token.Claims)
	from := Sources{IDToken: token.Claims}
	if token.IsClient {
		s.Kind, s.Username = session.Client, token.Client
		if s.Subject == "" {
			s.Subject = token.Client
		}
	} else {
		var err error
		if s.Username, err = m.Username(from); err != nil {
			return nil, err
		}
		// Userinfo is not called, so claims that the token lacks are unknown rather
		// than absent.
		from.Lost = m.Userinfo != UserinfoNever
	}
	selected, err := m.selectClaims(n, from, func(kept map[string]json.RawMessage) {
		m.putFacts(n, kept, &SignIn{Sources: from, Tokens: op.Tokens{Scope: strings.Join(token.Scopes, " "), ScopeSaid: true}})
	})
	if err != nil {
		return nil, err
	}
	s.Claims = selected.claims
	if n.AccessToken {
		s.AccessToken = in.Raw
	}
	return s, nil
}
