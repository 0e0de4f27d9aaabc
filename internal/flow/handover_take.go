package flow

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// ticketFlow is a site's work on one ticket of the login host.
type ticketFlow struct {
	Exchange
	provider    *Provider
	scope       *cookiescope.Scope
	ring        *seal.Ring
	record      handover.Record
	transaction session.Transaction
}

// refuse returns a failure of the login.
func (k *ticketFlow) refuse(code errorcode.Code, err error) *Failure {
	return &Failure{Code: code, Cause: err, Provider: k.provider, ReturnTo: k.transaction.Return}
}

// serveTicket serves the endpoint to which the login host sends the browser back. A
// ticket can be used only once, even if it is not valid.
func serveTicket(x *Exchange, p *Provider) error {
	if x.LoginHost.At == nil {
		return x.errorPage(http.StatusNotFound, &Failure{Code: errorcode.BadRequest, Cause: errorcode.ErrNoEndpoint}, "")
	}
	k := &ticketFlow{Exchange: *x, provider: p, scope: x.Scope()}
	f := k.take()
	if _, err := k.identify(); f == nil && err != nil { // finds the session to replace
		f = storageFailure(err)
	}
	if f == nil {
		f = k.signIn()
	}
	if f != nil {
		f.Popup = k.transaction.Popup
		return k.respondError(f)
	}
	return k.leadTo(&k.transaction, cmp.Or(k.transaction.Return, k.Home))
}

var (
	errTicketForm  = errors.New("there is not one ticket, or it is none")
	errTicketGone  = errors.New("there is no such ticket: it was used before, or is too old")
	errTicketOld   = errors.New("the ticket is more than 60 seconds old, or clocks differ")
	errTicketOther = errors.New("the ticket is for another site, provider or client id")
	errTicketAlien = errors.New("the ticket belongs to no login in flight in this browser")
)

// take removes the ticket's record from the storage and checks it.
func (k *ticketFlow) take() *Failure {
	values := k.query("ticket")
	ticket, ok := handover.ParseTicket(values.Get("ticket"))
	if !ok || len(values["ticket"]) != 1 {
		return k.refuse(errorcode.BadRequest, errTicketForm)
	}
	name, err := ticket.Name()
	if err != nil {
		return k.refuse(errorcode.BadRequest, err)
	}
	sealed, err := k.LoginHost.Handovers.Take(k.R.Context(), name)
	if err != nil {
		return storageFailure(err)
	}
	if sealed == nil {
		return k.refuse(errorcode.LoginExpired, errTicketGone)
	}
	ring, err, unavailable := seal.OpenWith(k.R.Context(), k.Keys, func(ring *seal.Ring) (err error) {
		k.record, err = ticket.Open(ring, k.scope.Origin.String(), sealed)
		return err
	})
	if unavailable != nil {
		return storageFailure(unavailable)
	}
	if err != nil {
		return k.refuse(errorcode.StateMismatch, errTicketOther)
	}
	k.ring = ring
	return k.check()
}

// check checks that the record is for this site, is not too old, and belongs to a
// login in progress in this browser.
func (k *ticketFlow) check() *Failure {
	r, now := &k.record, k.Now()
	name, t, found := k.findTransaction()
	if !found {
		return k.refuse(errorcode.StateMismatch, errTicketAlien)
	}
	k.preferLanguageOf(&t)
	k.scope.Expire(k.header(), name)
	switch {
	case r.Provider != k.provider.ID, r.Binding != k.provider.Registration, r.Origin != k.scope.Origin.String():
		return k.refuse(errorcode.StateMismatch, errTicketOther)
	case r.IsOver(now), t.Over(now):
		k.transaction.Return, k.transaction.Popup = t.Return, t.Popup
		return k.refuse(errorcode.LoginExpired, errTicketOld)
	}
	k.transaction = t
	return nil
}

// findTransaction returns the login in progress that the record is for.
func (k *ticketFlow) findTransaction() (name string, t session.Transaction, found bool) {
	binding := handoverBinding(*k.LoginHost.At)
	for _, c := range cookie.WithPrefix(k.State.Cookies, k.scope.TransactionPrefix, seenTransactions) {
		t, ok := openTransaction(k.ring, k.scope.TransactionAAD, c.Value)
		if ok && t.Binding == binding && handover.HashTransaction(t.State) == k.record.Transaction {
			return c.Name, t, true
		}
	}
	return "", session.Transaction{}, false
}

// signIn creates a session from the record, as a callback does from the provider's
// response: with the claims, names, groups, directories and demands of this site.
func (k *ticketFlow) signIn() *Failure {
	r, t, p := &k.record, &k.transaction, k.provider
	from := identity.Sources{Lost: r.Lost}
	if err := json.Unmarshal([]byte(r.IDToken), &from.IDToken); err != nil {
		return k.refuse(errorcode.TokenInvalid, fmt.Errorf("read a handover: %w", err))
	}
	if r.Userinfo != "" {
		if err := json.Unmarshal([]byte(r.Userinfo), &from.Userinfo); err != nil {
			return k.refuse(errorcode.UserinfoFailed, fmt.Errorf("read a handover: %w", err))
		}
	}
	demands := k.demands()
	if err := k.checkDemands(&demands, from.IDToken); err != nil {
		return k.refuse(errorcode.Forbidden, ofSubject(err, from.IDToken))
	}
	if err := k.checkTenant(from.IDToken); err != nil {
		return k.refuse(errorcode.TokenInvalid, ofSubject(err, from.IDToken))
	}
	needs := k.NeedsOf(p, t.Requested)
	fresh, findings, err := p.Mapping.NewSession(needs, identity.SignIn{
		Transaction: t, Tokens: op.Tokens{}, Sources: from, Scopes: r.Scopes,
		AuthTime: r.AuthTime, Asked: markOf(&demands, t.Demands),
		Binding: p.Binding, Now: k.Now(), Lifetime: k.Lifetime,
	})
	k.logFindings(p, findings)
	switch {
	case errors.Is(err, identity.ErrNoUsername):
		return k.refuse(errorcode.UserUnknown, ofSubject(err, from.IDToken))
	case err != nil:
		return k.refuse(errorcode.TokenInvalid, ofSubject(err, from.IDToken))
	}
	fresh.Parent, fresh.Spared = &r.Parent, r.Spared
	if fresh.IDTokenIssued = r.Issued; r.Parent.Expires.Before(fresh.Expires) {
		fresh.Expires = r.Parent.Expires
	}
	if !k.Now().Before(fresh.Expires) {
		return k.refuse(errorcode.LoginExpired, errors.New("the session at the login host is over"))
	}
	if f := k.checkKnown(k.R.Context(), p, fresh); f != nil {
		f.ReturnTo = t.Return
		return f
	}
	k.markSignIn(k.scope, k.ring, t)
	f := k.createSession(k.ring, p, fresh, "")
	if f != nil {
		f.ReturnTo = t.Return
	}
	return f
}

// demands returns what the login has to prove at this site.
func (k *ticketFlow) demands() op.Demands {
	t, p := &k.transaction, k.provider
	demands, err := op.DecodeDemands(t.Demands)
	if err != nil || t.Provider != p.ID {
		// The user signed in with another provider than the one that the login was
		// begun for. That provider's own demands apply.
		proof := demands.Proof
		demands = p.Client.Demands
		demands.Proof = proof
	}
	return demands
}

// checkDemands checks an ID token against what the site, its rules or a login link
// demand.
func (k *ticketFlow) checkDemands(demands *op.Demands, idToken op.Claims) error {
	authTime, acr := op.AuthOf(idToken)
	if authTime.IsZero() {
		authTime = k.record.AuthTime
	}
	skew, now := k.provider.Client.ClockSkew, k.Now()
	err := demands.Check(authTime, acr, now, skew)
	if err == nil {
		err = demands.Proof.Check(authTime, identity.ACRs(idToken), now, skew)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errorcode.ErrUnproved, err)
	}
	return nil
}

// checkTenant refuses users of tenants that this site does not accept.
func (k *ticketFlow) checkTenant(idToken op.Claims) error {
	var issuer string
	if json.Unmarshal(idToken["iss"], &issuer) != nil || !k.provider.Client.Discovery.IsIssuer(issuer) {
		return errors.New("the handover names another issuer")
	}
	return k.provider.Client.CheckTenant(idToken)
}
