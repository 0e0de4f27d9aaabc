package flow

import (
	"context"
	"crypto/subtle"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file finds logins in progress among a browser's cookies.

const (
	// maxLogins is how many logins a browser can have in progress.
	maxLogins = 5
	// maxTransaction is the maximum size in bytes of a transaction's cookie, name
	// and value.
	maxTransaction = 1500
	// seenTransactions bounds how many transaction cookies are opened per request.
	seenTransactions = 24
)

func loginOf(t *session.Transaction) (op.Login, error) {
	key, err := dpop.ParseKey(t.TokenKey)
	return op.Login{State: t.State, Nonce: t.Nonce, Verifier: t.Verifier, RedirectURI: t.RedirectURI, Key: key}, err
}

// authorize returns the URL of the authorization request of a transaction, and adds
// the key that the tokens will be bound to to the transaction. passedOn reports
// whether an application gets the access token.
func authorize(ctx context.Context, p *Provider, t *session.Transaction, demands op.Demands, passedOn bool, extra url.Values) (string, error) {
	key, err := p.Client.LoginKey(ctx, passedOn)
	if err != nil {
		return "", err
	}
	t.TokenKey = key.Encode()
	login := op.Login{State: t.State, Nonce: t.Nonce, Verifier: t.Verifier, RedirectURI: t.RedirectURI, Key: key, Demands: demands}
	return p.Client.AuthorizationURL(ctx, login, extra)
}

func openTransaction(ring *seal.Ring, aad, value string) (t session.Transaction, ok bool) {
	plain, _, err := ring.Open(seal.ForTransaction, aad, value)
	if err != nil || t.Decode(plain) != nil {
		return session.Transaction{}, false
	}
	return t, true
}

// transactionsOf opens the transaction cookies with the given name prefix that
// belong to a state. There is at most one, unless someone planted copies.
func (x *sessions) transactionsOf(ring *seal.Ring, prefix, aad, state string) (name string, found []session.Transaction) {
	name = prefix + session.HashState(state).CookieSuffix()
	for _, c := range cookie.WithPrefix(x.State.Cookies, name, seenTransactions) {
		if c.Name != name {
			continue
		}
		if t, ok := openTransaction(ring, aad, c.Value); ok && subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) == 1 {
			found = append(found, t)
		}
	}
	return name, found
}

// expireOldest makes room for another login: it clears the oldest transactions, and
// those that do not open or have expired.
func (x *sessions) expireOldest(s *cookiescope.Scope, ring *seal.Ring) {
	type inFlight struct {
		name  string
		began int64
	}
	var logins []inFlight
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.TransactionPrefix, seenTransactions) {
		t, ok := openTransaction(ring, s.TransactionAAD, c.Value)
		if !ok || t.Over(x.Now()) {
			s.Expire(x.header(), c.Name)
			continue
		}
		logins = append(logins, inFlight{c.Name, t.Began.Unix()})
	}
	for len(logins) >= maxLogins {
		oldest := 0
		for i := range logins {
			if logins[i].began < logins[oldest].began {
				oldest = i
			}
		}
		s.Expire(x.header(), logins[oldest].name)
		logins = append(logins[:oldest], logins[oldest+1:]...)
	}
}
