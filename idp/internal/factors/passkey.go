package factors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// PasskeyTimeout is how long a browser may take to answer a challenge.
	PasskeyTimeout = 5 * time.Minute

	maxPasskeys    = 20
	maxCredential  = 1023     // bytes of a credential's id, as WebAuthn 5.1 says
	maxPasskeyJSON = 64 << 10 // of a browser's answer
)

// Passkeys are discoverable credentials of WebAuthn. The authenticator verifies
// its user, so that a passkey alone is two factors.
type Passkeys struct {
	party  *webauthn.WebAuthn
	origin string
	now    func() time.Time
}

// challenge is what a ticket holds of a challenge.
type challenge struct {
	bound
	Session webauthn.SessionData `json:"session"`
}

// Kind returns [store.Passkey].
func (p *Passkeys) Kind() store.FactorKind { return store.Passkey }

// BeginEnrol returns the options of navigator.credentials.create, in the form of
// PublicKeyCredential.parseCreationOptionsFromJSON. It ignores the setup.
func (p *Passkeys) BeginEnrol(_ context.Context, tx Tx, c Ceremony, _ Setup) (*Enrolment, error) {
	have, err := factorsOf(tx, c.User.ID, store.Passkey)
	if err != nil {
		return nil, err
	}
	if len(have) >= maxPasskeys {
		return nil, ErrTooMany
	}
	exclude, err := descriptors(have)
	if err != nil {
		return nil, err
	}
	creation, session, err := p.party.BeginRegistration(owner{user: c.User},
		webauthn.WithExclusions(exclude),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()))
	if err != nil {
		return nil, fmt.Errorf("beginning to register a passkey: %w", err)
	}
	options, err := json.Marshal(creation.Response)
	if err != nil {
		return nil, err
	}
	e := &Enrolment{Token: newID(), Options: options}
	return e, p.keep(tx, ticketPasskey, e.Token, c, session)
}

// Resume begins again: a challenge is never sent twice.
func (p *Passkeys) Resume(ctx context.Context, tx Tx, c Ceremony, _ string) (*Enrolment, error) {
	return p.BeginEnrol(ctx, tx, c, Setup{})
}

// FinishEnrol adds the passkey that the browser made: answer is the JSON of its
// PublicKeyCredential. The challenge is used up whatever the answer is.
func (p *Passkeys) FinishEnrol(_ context.Context, tx Tx, c Ceremony, token, answer, label string) (*store.Factor, error) {
	session, err := p.take(tx, ticketPasskey, token, c)
	if err != nil {
		return nil, err
	}
	credential, err := p.create(c.User, session, answer)
	if err != nil {
		return nil, err
	}
	if err := p.mayAdd(tx, c.User.ID, credential.ID); err != nil {
		return nil, err
	}
	f := store.Factor{
		ID:           newID(),
		UserID:       c.User.ID,
		Kind:         store.Passkey,
		Label:        cleanLabel(label),
		Confirmed:    true,
		CredentialID: credential.ID,
		Created:      p.now(),
	}
	// The statement is of no use without a policy about authenticators, and may
	// tell users apart.
	credential.Attestation = webauthn.CredentialAttestation{}
	if f.Secret, err = json.Marshal(credential); err != nil {
		return nil, err
	}
	if err := tx.PutFactor(f); err != nil {
		return nil, err
	}
	return &f, nil
}

// create checks the answer to a registration.
func (p *Passkeys) create(user *store.User, session webauthn.SessionData, answer string) (*webauthn.Credential, error) {
	parsed, err := parseCreation(answer)
	if err != nil {
		return nil, err
	}
	if !p.isOurs(parsed.Response.CollectedClientData) {
		return nil, ErrWrong
	}
	credential, err := p.party.CreateCredential(owner{user: user}, session, parsed)
	if err != nil {
		return nil, ErrWrong // without its text, which repeats what was sent
	}
	discoverable := credential.Extensions.RK == nil || *credential.Extensions.RK
	if !discoverable || len(credential.ID) > maxCredential {
		return nil, ErrWrong
	}
	return credential, nil
}

// mayAdd checks again what may have changed since the registration began.
func (p *Passkeys) mayAdd(tx Tx, userID string, id []byte) error {
	have, err := factorsOf(tx, userID, store.Passkey)
	if err != nil {
		return err
	}
	if len(have) >= maxPasskeys {
		return ErrTooMany
	}
	_, err = tx.FactorByCredential(id)
	if err == nil {
		return ErrWrong // WebAuthn 7.1, step 26: it belongs to someone already
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// BeginVerify returns the options of navigator.credentials.get, in the form of
// PublicKeyCredential.parseRequestOptionsFromJSON. They name no credentials, so
// they tell nothing about accounts. They are good for one answer within
// [PasskeyTimeout].
func (p *Passkeys) BeginVerify(_ context.Context, tx Tx, c Ceremony) (json.RawMessage, error) {
	assertion, session, err := p.party.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("beginning to verify a passkey: %w", err)
	}
	options, err := json.Marshal(assertion.Response)
	if err != nil {
		return nil, err
	}
	return options, p.keep(tx, ticketVerify, session.Challenge, c, session)
}

// Verify checks the JSON of a PublicKeyCredential. Without a user in the ceremony
// the passkey says who signs in; callers check that this user may. It returns
// [ErrExpired] for a challenge that was used, has expired, or was another
// browser's or request's. The challenge is used up whatever the answer is.
func (p *Passkeys) Verify(_ context.Context, tx Tx, c Ceremony, answer string) (*Proof, error) {
	parsed, err := parseAssertion(answer)
	if err != nil {
		return nil, err
	}
	session, err := p.take(tx, ticketVerify, parsed.Response.CollectedClientData.Challenge, c)
	if err != nil {
		return nil, err
	}
	if !p.isOurs(parsed.Response.CollectedClientData) {
		return nil, ErrWrong
	}
	f, credential, err := find(tx, parsed.RawID)
	if err != nil {
		return nil, err
	}
	if c.User != nil && c.User.ID != f.UserID {
		return nil, ErrWrong
	}
	return p.accept(tx, f, credential, session, parsed)
}

// accept checks the signature of a known credential, and keeps its counter.
func (p *Passkeys) accept(tx Tx, f *store.Factor, credential webauthn.Credential, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (*Proof, error) {
	credential.Authenticator.CloneWarning = false // it is about this use
	by := owner{user: &store.User{ID: f.UserID}, credentials: []webauthn.Credential{credential}}
	used, err := p.party.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return by, nil }, session, parsed)
	if err != nil {
		return nil, ErrWrong
	}
	if f.Secret, err = json.Marshal(used); err != nil {
		return nil, err
	}
	f.LastUsed = p.now()
	if err := tx.PutFactor(*f); err != nil {
		return nil, err
	}
	return &Proof{
		UserID:   f.UserID,
		FactorID: f.ID,
		Kind:     store.Passkey,
		AMR:      amrOf(*used),
		Cloned:   used.Authenticator.CloneWarning,
	}, nil
}

// amrOf returns what a passkey proves: a key that can be backed up is not bound to
// hardware. The authenticator verifies its user, which is the other factor.
func amrOf(c webauthn.Credential) []string {
	if c.Flags.BackupEligible {
		return []string{amrSoftware, amrTwoFactors}
	}
	return []string{amrHardware, amrTwoFactors}
}

// isOurs reports whether client data come from a page of the issuer itself: not
// from a frame elsewhere, and not from an origin that is only written alike.
func (p *Passkeys) isOurs(data protocol.CollectedClientData) bool {
	return data.Origin == p.origin && !data.CrossOrigin && data.TopOrigin == ""
}

// keep keeps a challenge for a ceremony.
func (p *Passkeys) keep(tx Tx, kind, token string, c Ceremony, session *webauthn.SessionData) error {
	value := challenge{bound: bound{Browser: c.Browser, Request: c.Request}, Session: *session}
	return addTicket(tx, kind, token, c.userID(), p.now(), PasskeyTimeout, value)
}

// take uses a challenge up, if it belongs to the ceremony.
func (p *Passkeys) take(tx Tx, kind, token string, c Ceremony) (webauthn.SessionData, error) {
	ticket, err := tx.Ticket(kind, store.HashOf(token), p.now())
	if errors.Is(err, store.ErrNotFound) {
		return webauthn.SessionData{}, ErrExpired
	}
	if err != nil {
		return webauthn.SessionData{}, err
	}
	var of challenge
	if err := json.Unmarshal(ticket.Data, &of); err != nil {
		return webauthn.SessionData{}, fmt.Errorf("reading a challenge: %w", err)
	}
	if ticket.UserID != c.userID() || !of.fits(c) {
		return webauthn.SessionData{}, ErrExpired
	}
	if _, err := tx.TakeTicket(kind, ticket.Hash, p.now()); err != nil {
		return webauthn.SessionData{}, err
	}
	return of.Session, nil
}

// find returns the passkey with a credential id.
func find(tx Tx, id []byte) (*store.Factor, webauthn.Credential, error) {
	f, err := tx.FactorByCredential(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, webauthn.Credential{}, ErrWrong
	}
	if err != nil {
		return nil, webauthn.Credential{}, err
	}
	credential, err := credentialOf(*f)
	return f, credential, err
}
