package identity

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// SignIn is a login whose response has been verified.
type SignIn struct {
	Transaction *session.Transaction
	Tokens      op.Tokens
	Sources     Sources
	Scopes      []string // the requested scopes
	// AuthTime replaces auth_time if the ID token has none; may be zero.
	AuthTime time.Time
	// Asked is the mark of the login's demands; see User.Asked.
	Asked string

	Binding  session.Binding // what the session is bound to
	Now      time.Time
	Lifetime time.Duration // of the session
}

// maxReturn is the maximum length in bytes of the return address in a session,
// which the browser sends with every request.
const maxReturn = 200

// NewSession returns the session of a login, with the needed claims and tokens. It
// returns findings even if it fails. The error is ErrNoUsername if no claim names
// the user; other errors are about invalid claims.
func (m *Mapping) NewSession(n *Needs, in SignIn) (*session.Session, []Finding, error) {
	t, idToken := in.Transaction, in.Sources.IDToken
	fresh := &session.Session{
		ID: session.NewID(), Binding: in.Binding, Provider: m.Provider,
		SignedIn: in.Now, Seen: in.Now, Expires: in.Now.Add(in.Lifetime),
		Login: session.HashState(t.State), Began: t.Began, IDTokenIssued: idToken.Issued(),
		Requested: n.requestedBy(in.Tokens),
	}
	if len(t.Return) <= maxReturn {
		fresh.Return = t.Return
	}
	var err error
	text := func(name string) (value string) {
		if raw, ok := idToken[name]; ok && err == nil && string(raw) != "null" {
			err = json.Unmarshal(raw, &value)
		}
		return value
	}
	fresh.Subject, fresh.SID = text("sub"), text("sid")
	if err != nil {
		return nil, nil, fmt.Errorf("sid is not a string: %w", err)
	}
	findings, err := Bound(fresh, idToken, in.Now)
	if err != nil {
		return nil, nil, err
	}
	if fresh.AuthTime, fresh.ACR = op.AuthOf(idToken); fresh.AuthTime.IsZero() {
		fresh.AuthTime = in.AuthTime
	}
	if fresh.Username, err = m.Username(in.Sources); err != nil {
		return nil, findings, err
	}
	selected, err := m.selectClaims(n, in.Sources, func(kept map[string]json.RawMessage) { m.putFacts(n, kept, &in) })
	findings = append(findings, selected.findings...)
	if err != nil {
		return nil, findings, err
	}
	fresh.Claims = selected.claims
	if n.IDToken {
		fresh.IDToken = in.Tokens.IDToken
	}
	if err := saveGrant(n, fresh, in.Tokens, idToken); err != nil {
		return nil, findings, err
	}
	if fresh.Grant.RefreshToken != "" || n.Recheck {
		fresh.FromUserinfo = selected.fromUserinfo
	}
	n.saveAccessToken(fresh, in.Tokens)
	return fresh, findings, nil
}

// saveAccessToken keeps the access token in a new session that has its grant, for
// the application, or for rechecks by userinfo if it cannot be refreshed.
func (n *Needs) saveAccessToken(fresh *session.Session, tokens op.Tokens) {
	forApplication := n.AccessToken && tokens.Key == nil
	forRechecks := n.Recheck && fresh.Grant.RefreshToken == "" && tokens.NotBearer == nil
	if forApplication || forRechecks {
		fresh.AccessToken, fresh.AccessTokenExpires = tokens.AccessToken, tokens.Expires
	}
	if fresh.Grant.RefreshToken != "" || fresh.AccessToken != "" {
		fresh.TokenKey = tokens.Key.Encode()
	}
}

// requestedBy returns the names of what a login with these tokens requested. A
// login whose access token is bound to a client key did not request it for an
// application.
func (n *Needs) requestedBy(tokens op.Tokens) session.Names {
	if tokens.Key == nil {
		return n.names
	}
	return n.names.Without(session.NamesOf(needAccessToken))
}

// saveGrant stores in a new session what a refresh will need.
func saveGrant(n *Needs, fresh *session.Session, tokens op.Tokens, idToken op.Claims) error {
	if !n.RefreshToken || tokens.RefreshToken == "" || tokens.Expires.IsZero() {
		return nil
	}
	first, err := op.FirstOf(idToken)
	if err != nil {
		return err
	}
	fresh.AccessTokenExpires = tokens.Expires
	fresh.Grant = session.Grant{
		RefreshToken: tokens.RefreshToken, Issued: fresh.SignedIn,
		Nonce: first.Nonce, Parties: first.Parties, AuthTime: first.AuthTime,
		Key: tokens.RefreshKey.Encode(),
	}
	return nil
}
