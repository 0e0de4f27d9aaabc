package factors

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// What all authenticator apps support: SHA-1, six digits, thirty seconds. RFC
// 6238 5.2 recommends one step of drift.
const (
	totpDigits = 6
	totpStep   = 30 * time.Second
	totpDrift  = 1
	seedSize   = 20 // bytes, as RFC 4226 4 R6 recommends
)

// TOTP are codes by time, RFC 6238, as authenticator apps show them.
type TOTP struct{ codes }

// Kind returns [store.TOTP].
func (t *TOTP) Kind() store.FactorKind { return store.TOTP }

// BeginEnrol makes a seed. It ignores the setup: a code by time always has a seed
// of ours.
func (t *TOTP) BeginEnrol(ctx context.Context, tx Tx, c Ceremony, _ Setup) (*Enrolment, error) {
	return t.begin(ctx, tx, ticketTOTP, store.TOTP, c, newSeed(totpDigits), pending{})
}

// Resume returns an enrolment that has begun.
func (t *TOTP) Resume(ctx context.Context, tx Tx, c Ceremony, token string) (*Enrolment, error) {
	return t.resume(ctx, tx, ticketTOTP, store.TOTP, c, token)
}

// FinishEnrol adds the factor if the answer is its code now. The code counts as
// used.
func (t *TOTP) FinishEnrol(ctx context.Context, tx Tx, c Ceremony, token, answer, label string) (*store.Factor, error) {
	_, s, err := t.pending(ctx, tx, ticketTOTP, c, token)
	if err != nil {
		return nil, err
	}
	step, ok, err := t.step(s, answer, 0)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrWrong
	}
	return t.finish(ctx, tx, ticketTOTP, store.TOTP, c.userID(), token, label, s, step)
}

// Verify checks a code. It is right once, and none before it is right afterwards.
func (t *TOTP) Verify(ctx context.Context, tx Tx, c Ceremony, answer string) (*Proof, error) {
	at, err := restored(tx)
	if err != nil {
		return nil, err
	}
	return t.try(ctx, tx, store.TOTP, c.userID(), func(f store.Factor, s seed) (int64, bool, error) {
		last := f.Counter
		if !at.IsZero() {
			last = max(last, stepOf(at))
		}
		return t.step(s, answer, last)
	})
}

// step returns the time step of a code, if it is a step of now that is later than
// last.
func (t *TOTP) step(s seed, answer string, last int64) (int64, bool, error) {
	codes := splitCodes(answer)
	if len(codes) != 1 {
		return 0, false, nil
	}
	now := stepOf(t.now())
	return s.find(codes[0], max(now-totpDrift, last+1), now+totpDrift)
}

func stepOf(at time.Time) int64 { return at.Unix() / int64(totpStep/time.Second) }

func newSeed(digits int) seed {
	b := make([]byte, seedSize)
	rand.Read(b) // it never fails
	return seed{Bytes: b, Digits: digits}
}
