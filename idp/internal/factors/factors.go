// Package factors has what users sign in with beside a password: codes by time
// and by counter, passkeys and recovery codes, a file each. Each is a [Method].
//
// A method reads and writes in the caller's transaction, so that a check and
// what follows from it are one change, together with the caller's count of wrong
// attempts. Package factors counts no attempts, knows no policy (which factors a
// user may or must have, how fresh an authentication is), sends no mail and
// writes no page.
//
// Enrolment has two steps. BeginEnrol keeps what is new in a ticket of the
// database, bound to the user, the browser and the request; FinishEnrol adds the
// factor once an answer shows that it works. What was not finished is no factor.
package factors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

var (
	// ErrWrong means that an answer is wrong. It is not an internal error: callers
	// count it, and commit the transaction.
	ErrWrong = errors.New("the answer is wrong")

	// ErrExpired is returned for an enrolment that has ended, or that another
	// user, browser or request began. It has to begin again.
	ErrExpired = errors.New("the enrolment has ended")

	// ErrTooMany is returned if a user has as many factors of a kind as allowed.
	ErrTooMany = errors.New("too many factors of this kind")
)

// EnrolmentLifetime is how long an enrolment may take.
const EnrolmentLifetime = 15 * time.Minute

// Tx is what factors need of a transaction; [store.Tx] has it.
type Tx interface {
	store.Factors
	store.Tickets
	store.Settings
}

// Ceremony is what a factor is enrolled or verified for. What was begun in one
// ceremony can be finished only in the same one.
type Ceremony struct {
	// User is the user; nil if a passkey has to identify the user.
	User *store.User
	// Browser is the hash of the secret that the browser has for this request, or
	// for its session.
	Browser store.Hash
	// Request is the id of the request in flight, empty on the account page.
	Request string
}

func (c Ceremony) userID() string {
	if c.User == nil {
		return ""
	}
	return c.User.ID
}

// Setup has the user's choices for an enrolment. All are optional.
type Setup struct {
	// Seed is the seed of a hardware token, in hexadecimal or base32. Default: a
	// new one.
	Seed string
	// Digits is the length of HOTP's codes, 6 or 8. Default: 6.
	Digits int
	// Counter is the counter of HOTP's next code. Default: 0.
	Counter int64
}

// Enrolment is what the user needs to set a factor up.
type Enrolment struct {
	// Token identifies the enrolment; the form returns it to FinishEnrol.
	Token string
	// URI is the otpauth URI of the seed, for a QR code. It is empty if the user
	// brought the seed.
	URI string
	// Seed is the seed in base32, in groups, for typing. It is empty if the user
	// brought the seed.
	Seed string
	// Options are the PublicKeyCredentialCreationOptions of a passkey in JSON.
	Options json.RawMessage
}

// Proof is what a right answer proves.
type Proof struct {
	UserID   string
	FactorID string // empty for recovery codes
	Kind     store.FactorKind
	// AMR are the authentication methods (RFC 8176) of the answer. It includes
	// «mfa» if the answer is two factors by itself.
	AMR []string
	// Cloned reports that the signature counter of a passkey went back, so that it
	// may have been copied. Callers log this and let the user in, since some
	// authenticators count incorrectly.
	Cloned bool
}

// The authentication methods of RFC 8176, section 2.
const (
	amrCode       = "otp"
	amrHardware   = "hwk"
	amrSoftware   = "swk"
	amrTwoFactors = "mfa"
)

// Method is one kind of factor.
type Method interface {
	Kind() store.FactorKind
	// BeginEnrol begins to add a factor of the ceremony's user.
	BeginEnrol(ctx context.Context, tx Tx, c Ceremony, s Setup) (*Enrolment, error)
	// Resume returns an enrolment that has begun, to show it again.
	Resume(ctx context.Context, tx Tx, c Ceremony, token string) (*Enrolment, error)
	// FinishEnrol adds the factor if the answer is right, and calls it label. After
	// ErrWrong the user may try again with the same token, but for passkeys, which
	// begin again.
	FinishEnrol(ctx context.Context, tx Tx, c Ceremony, token, answer, label string) (*store.Factor, error)
	// Verify checks an answer and spends it: the next time it returns ErrWrong.
	Verify(ctx context.Context, tx Tx, c Ceremony, answer string) (*Proof, error)
}

// Options are what the factors need to know.
type Options struct {
	Vault vault.Vault
	Now   func() time.Time
	// Issuer is the address of the provider: passkeys are bound to its origin.
	Issuer *url.URL
	// Name is what apps and authenticators show as the provider's name. Default:
	// the issuer's host.
	Name string
	// PasskeyRPID is the domain that passkeys are bound to: the issuer's host, or a
	// parent domain of it. Other sites of a parent domain can ask for signatures,
	// which are refused here by their origin. Default: the issuer's host.
	PasskeyRPID string
}

// Set is all factors of a provider.
type Set struct {
	TOTP     *TOTP
	HOTP     *HOTP
	Passkeys *Passkeys // nil if the issuer's host is an IP address
	Recovery *Recovery
}

// New returns the factors of a provider.
func New(o Options) (*Set, error) {
	if o.Issuer == nil || o.Issuer.Hostname() == "" {
		return nil, errors.New("factors need the issuer's address")
	}
	if o.Name == "" {
		o.Name = o.Issuer.Hostname()
	}
	codes := codes{vault: o.Vault, now: o.Now, issuer: o.Name}
	passkeys, err := newPasskeys(o)
	if err != nil {
		return nil, err
	}
	return &Set{
		TOTP:     &TOTP{codes},
		HOTP:     &HOTP{codes},
		Passkeys: passkeys,
		Recovery: &Recovery{vault: o.Vault},
	}, nil
}

// Method returns the method of a kind, nil if there is none.
func (s *Set) Method(kind store.FactorKind) Method {
	switch kind {
	case store.TOTP:
		return s.TOTP
	case store.HOTP:
		return s.HOTP
	case store.Passkey:
		if s.Passkeys != nil {
			return s.Passkeys
		}
	}
	return nil
}

// Available returns the kinds that a provider of this issuer has, of those given.
func (s *Set) Available(kinds []store.FactorKind) []store.FactorKind {
	return slices.DeleteFunc(slices.Clone(kinds), func(kind store.FactorKind) bool { return s.Method(kind) == nil })
}

// EnrolledAMR returns what the enrolment of a factor has proved, as the AMR of a
// [Proof].
func EnrolledAMR(f *store.Factor) ([]string, error) {
	if f.Kind != store.Passkey {
		return []string{amrCode}, nil
	}
	credential, err := credentialOf(*f)
	if err != nil {
		return nil, err
	}
	return amrOf(credential), nil
}

// VerifyCode checks what a user typed into the field for a code: the code of an
// app or of a hardware token, or two successive codes of a token that has to be
// resynchronized. It counts as one attempt.
func (s *Set) VerifyCode(ctx context.Context, tx Tx, c Ceremony, answer string) (*Proof, error) {
	for _, method := range []Method{s.TOTP, s.HOTP} {
		proof, err := method.Verify(ctx, tx, c, answer)
		if !errors.Is(err, ErrWrong) {
			return proof, err
		}
	}
	return nil, ErrWrong
}

// Remove removes one factor of a user.
func (s *Set) Remove(tx Tx, userID, id string) error { return tx.DeleteFactor(userID, id) }

// RemoveAll removes all factors and recovery codes of a user, and ends the
// enrolments that have begun.
func (s *Set) RemoveAll(tx Tx, userID string) error {
	all, err := tx.FactorsOf(userID)
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := tx.DeleteFactor(userID, f.ID); err != nil {
			return err
		}
	}
	if err := tx.SetRecoveryCodes(userID, nil); err != nil {
		return err
	}
	return tx.DeleteTickets(userID, ticketKinds...)
}

// factorsOf returns the confirmed factors of a user of one kind.
func factorsOf(tx Tx, userID string, kind store.FactorKind) ([]store.Factor, error) {
	all, err := tx.FactorsOf(userID)
	if err != nil {
		return nil, err
	}
	var of []store.Factor
	for _, f := range all {
		if f.Kind == kind && f.Confirmed {
			of = append(of, f)
		}
	}
	return of, nil
}

// settingRestored holds when the database was last restored from a backup.
const settingRestored = "factors_restored"

// MarkRestored notes that the database was restored from a backup, in which the
// counters of codes may be older than codes that were used: from then on, a
// token by counter has to be resynchronized once, and codes by time count only
// if they are newer.
func MarkRestored(tx Tx, now time.Time) error {
	return tx.SetSetting(settingRestored, now.UTC().Format(time.RFC3339Nano))
}

// restored returns when the database was last restored, zero if never.
func restored(tx Tx) (time.Time, error) {
	text, err := tx.Setting(settingRestored)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("setting %s: %w", settingRestored, err)
	}
	return at, nil
}
