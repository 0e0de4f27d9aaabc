package flow

import (
	"crypto/subtle"
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
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

func loginOf(t *session.Transaction) op.Login {
	return op.Login{State: t.State, Nonce: t.Nonce, Verifier: t.Verifier, RedirectURI: t.RedirectURI}
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
func (x *Exchange) transactionsOf(ring *seal.Ring, prefix, aad, state string) (name string, found []session.Transaction) {
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
func (x *Exchange) expireOldest(s *cookiescope.Scope, ring *seal.Ring) {
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

// findTransaction looks for the login that a response belongs to, and leaves it as
// it is.
func (c *callbackFlow) findTransaction(ring *seal.Ring) (name string, t session.Transaction, ok bool) {
	name, found := c.transactionsOf(ring, c.scope.TransactionPrefix, c.scope.TransactionAAD, c.response.State)
	for _, t := range found {
		if c.provider.began(&t) {
			return name, t, true
		}
	}
	return "", session.Transaction{}, false
}

// takeTransaction finds the login that the response belongs to, by its state, and
// takes its cookie from the browser.
func (c *callbackFlow) takeTransaction() *Failure {
	s := c.scope
	refuse := func(code errorcode.Code, returnTo, why string) *Failure {
		return &Failure{Code: code, Cause: errors.New(why), Provider: c.provider, ReturnTo: returnTo}
	}
	name, found := c.transactionsOf(c.ring, s.TransactionPrefix, s.TransactionAAD, c.response.State)
	if len(found) > 0 {
		t := found[0]
		if !c.provider.began(&t) {
			// A response at another provider's address: a mix-up (RFC 9700 4.4).
			return refuse(errorcode.StateMismatch, t.Return, "the login was begun with another provider, or another client id")
		}
		s.Expire(c.header(), name)
		if t.Over(c.Now()) {
			return refuse(errorcode.LoginExpired, t.Return, "the login was begun more than 15 minutes ago")
		}
		c.transaction = t
		return nil
	}
	for _, other := range cookie.WithPrefix(c.State.Cookies, s.TransactionPrefix, seenTransactions) {
		if t, ok := openTransaction(c.ring, s.TransactionAAD, other.Value); ok && !t.Over(c.Now()) {
			return refuse(errorcode.StateMismatch, "", "no login in flight has this state")
		}
	}
	return refuse(errorcode.LoginExpired, "", "no login is in flight in this browser: it is over, or was begun elsewhere, or the browser keeps no cookies")
}

// takeFormer finds a login that an earlier release has begun under a cookie
// domain. A sibling site could have planted it, so its response counts for
// nothing; but where it was to lead, a new login may lead.
func (c *callbackFlow) takeFormer() (returnTo string, ok bool) {
	s := c.scope
	if s.FormerTransactionPrefix == "" {
		return "", false
	}
	name, found := c.transactionsOf(c.ring, s.FormerTransactionPrefix, s.FormerTransactionAAD, c.response.State)
	for _, t := range found {
		if t.Over(c.Now()) || !c.provider.began(&t) {
			continue
		}
		s.Expire(c.header(), name)
		if returnTo, ok = c.checkReturn(s, t.Return); !ok {
			returnTo = ""
		}
		return returnTo, true
	}
	return "", false
}
