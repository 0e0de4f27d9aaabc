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

// This file finds the logins in flight among a browser's cookies.

const (
	// maxLogins is how many logins a browser can have in flight.
	maxLogins = 5
	// maxTransaction bounds a transaction's cookie, name and value, in bytes.
	maxTransaction = 1500
	// seenTransactions bounds how many are looked at to find the oldest.
	seenTransactions = 24
)

func loginOf(t *session.Transaction) (op.Login, error) {
	key, err := dpop.ParseKey(t.TokenKey)
	return op.Login{State: t.State, Nonce: t.Nonce, Verifier: t.Verifier, RedirectURI: t.RedirectURI, Key: key}, err
}

// authorize returns the address of the authorization request of a transaction, which
// gets the key that the tokens are to be bound to. passedOn reports whether an
// application gets the access token.
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

// transactionsOf opens the transactions among the cookies whose names begin with a
// prefix that a state belongs to. There is one at most, unless someone planted
// copies.
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

// expireOldest makes room for another login: of those in flight the oldest are
// given up, and what does not open, or is over, is cleared.
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
