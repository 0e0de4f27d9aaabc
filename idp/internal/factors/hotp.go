package factors

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// RFC 4226 7.4: how many codes that were never sent may lie between the last code
// and this one, and how many if two successive codes come together.
const (
	hotpLookAhead    = 10
	hotpResyncWindow = 50
	// A token that is enrolled may have been used elsewhere. Its user shows that
	// the seed is right, so a guess gains nothing.
	hotpEnrolWindow = 1000
)

var (
	// ErrSeed is returned for a seed that is neither hexadecimal nor base32, or
	// not of 128 to 512 bits.
	ErrSeed = errors.New("the seed must have 16 to 64 bytes, in hexadecimal or base32")

	// ErrDigits is returned for codes of another length than 6 or 8.
	ErrDigits = errors.New("codes have 6 or 8 digits")

	// ErrCounter is returned for a counter that no token has reached.
	ErrCounter = errors.New("the counter must be between 0 and 2^40")
)

// HOTP are codes by counter, RFC 4226, as hardware tokens show them.
type HOTP struct{ codes }

// Kind returns [store.HOTP].
func (h *HOTP) Kind() store.FactorKind { return store.HOTP }

// BeginEnrol keeps the seed that the user brought, or makes one.
func (h *HOTP) BeginEnrol(ctx context.Context, tx Tx, c Ceremony, setup Setup) (*Enrolment, error) {
	s, err := setup.seed()
	if err != nil {
		return nil, err
	}
	p := pending{Counter: setup.Counter, Brought: setup.Seed != ""}
	return h.begin(ctx, tx, ticketHOTP, store.HOTP, c, s, p)
}

// Resume returns an enrolment that has begun.
func (h *HOTP) Resume(ctx context.Context, tx Tx, c Ceremony, token string) (*Enrolment, error) {
	return h.resume(ctx, tx, ticketHOTP, store.HOTP, c, token)
}

// FinishEnrol adds the token if the answer is its next code, or two successive
// codes if it was used before.
func (h *HOTP) FinishEnrol(ctx context.Context, tx Tx, c Ceremony, token, answer, label string) (*store.Factor, error) {
	p, s, err := h.pending(ctx, tx, ticketHOTP, c, token)
	if err != nil {
		return nil, err
	}
	counter, ok, err := s.next(answer, p.Counter, hotpLookAhead, hotpEnrolWindow)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrWrong
	}
	return h.finish(ctx, tx, ticketHOTP, store.HOTP, c.userID(), token, label, s, counter)
}

// Add adds a token whose seed an operator knows. The user need not confirm it.
func (h *HOTP) Add(ctx context.Context, tx Tx, userID string, setup Setup, label string) (*store.Factor, error) {
	s, err := setup.seed()
	if err != nil {
		return nil, err
	}
	return h.add(ctx, tx, store.HOTP, userID, label, s, setup.Counter)
}

// Verify checks a code, or two successive codes of a token that is too far ahead.
// A code that was right, and those before it, are never right again.
func (h *HOTP) Verify(ctx context.Context, tx Tx, c Ceremony, answer string) (*Proof, error) {
	at, err := restored(tx)
	if err != nil {
		return nil, err
	}
	return h.try(ctx, tx, store.HOTP, c.userID(), func(f store.Factor, s seed) (int64, bool, error) {
		lookAhead := int64(hotpLookAhead)
		if mustResync(f, at) {
			lookAhead = -1
		}
		return s.next(answer, f.Counter, lookAhead, hotpResyncWindow)
	})
}

// mustResync reports whether a counter is from a backup, and so maybe older than
// codes that were used.
func mustResync(f store.Factor, restored time.Time) bool {
	return !restored.IsZero() && !f.Created.After(restored) && !f.LastUsed.After(restored)
}

// next returns the counter after a code that is at most lookAhead after counter,
// or after two successive codes of which the first one is at most window after
// it.
func (s seed) next(answer string, counter, lookAhead, window int64) (int64, bool, error) {
	codes := splitCodes(answer)
	switch len(codes) {
	case 1:
		at, ok, err := s.find(codes[0], counter, counter+lookAhead)
		return at + 1, ok, err
	case 2:
		return s.nextOfTwo(codes[0], codes[1], counter, counter+window)
	default:
		return 0, false, nil
	}
}

// nextOfTwo looks for two successive codes. The first one may occur by chance
// before it is right, so the search goes on after a pair that does not fit.
func (s seed) nextOfTwo(first, second string, from, to int64) (int64, bool, error) {
	for from <= to {
		at, ok, err := s.find(first, from, to)
		if !ok || err != nil {
			return 0, false, err
		}
		if ok, err := s.matches(second, at+1); ok || err != nil {
			return at + 2, ok, err
		}
		from = at + 1
	}
	return 0, false, nil
}

// seed returns the seed of a setup.
func (s Setup) seed() (seed, error) {
	digits := s.Digits
	if digits == 0 {
		digits = 6
	}
	if digits != 6 && digits != 8 {
		return seed{}, ErrDigits
	}
	if s.Counter < 0 || s.Counter > 1<<40 {
		return seed{}, ErrCounter
	}
	if s.Seed == "" {
		return newSeed(digits), nil
	}
	b, err := parseSeed(s.Seed)
	if err != nil {
		return seed{}, err
	}
	return seed{Bytes: b, Digits: digits}, nil
}
