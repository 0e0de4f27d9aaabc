package factors

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

// codes is common to TOTP and HOTP: RFC 6238 is RFC 4226 with the time as counter.
type codes struct {
	vault  vault.Vault
	now    func() time.Time
	issuer string
}

// seed is the sealed content of a factor by code.
type seed struct {
	Bytes  []byte `json:"seed"`
	Digits int    `json:"digits"`
}

var base32Encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func (s seed) base32() string { return base32Encoding.EncodeToString(s.Bytes) }

// code returns the code of a counter.
func (s seed) code(counter int64) (string, error) {
	return hotp.GenerateCodeCustom(s.base32(), uint64(counter), s.options())
}

// matches reports whether a code is that of a counter, in constant time.
func (s seed) matches(code string, counter int64) (bool, error) {
	if len(code) != s.Digits || counter < 0 {
		return false, nil
	}
	return hotp.ValidateCustom(code, uint64(counter), s.base32(), s.options())
}

func (s seed) options() hotp.ValidateOpts {
	return hotp.ValidateOpts{Digits: otp.Digits(s.Digits), Algorithm: otp.AlgorithmSHA1}
}

// find returns the first counter from first to last with the code, and whether
// there is one.
func (s seed) find(code string, first, last int64) (int64, bool, error) {
	for counter := first; counter <= last; counter++ {
		if ok, err := s.matches(code, counter); ok || err != nil {
			return counter, ok, err
		}
	}
	return 0, false, nil
}

// The columns that seeds are sealed for. The row is the user: a sealed seed that
// was copied to another user, or to another factor, does not open.
func factorColumn(id string) string         { return "factors.secret/" + id }
func pendingColumn(kind, tok string) string { return "tickets.data/" + kind + "/" + tok }

func (c codes) seal(ctx context.Context, userID, column string, s seed) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return c.vault.Seal(ctx, userID, column, plain)
}

func (c codes) open(ctx context.Context, userID, column string, sealed []byte) (seed, error) {
	plain, err := c.vault.Open(ctx, userID, column, sealed)
	if err != nil {
		return seed{}, fmt.Errorf("opening a seed: %w", err)
	}
	var s seed
	if err := json.Unmarshal(plain, &s); err != nil {
		return seed{}, errors.New("a seed is not in the form that was sealed")
	}
	return s, nil
}

// begin keeps a seed for an enrolment.
func (c codes) begin(ctx context.Context, tx Tx, kind string, of store.FactorKind, ceremony Ceremony, s seed, p pending) (*Enrolment, error) {
	user := ceremony.User
	have, err := factorsOf(tx, user.ID, of)
	if err != nil {
		return nil, err
	}
	if len(have) >= maxCodes {
		return nil, ErrTooMany
	}
	token := newID()
	if p.Sealed, err = c.seal(ctx, user.ID, pendingColumn(kind, token), s); err != nil {
		return nil, err
	}
	p.bound = bound{Browser: ceremony.Browser, Request: ceremony.Request}
	if err := addTicket(tx, kind, token, user.ID, c.now(), EnrolmentLifetime, p); err != nil {
		return nil, err
	}
	return c.enrolment(token, of, user, s, p), nil
}

func (c codes) enrolment(token string, of store.FactorKind, user *store.User, s seed, p pending) *Enrolment {
	e := &Enrolment{Token: token}
	if !p.Brought {
		e.URI = keyURI(of, c.issuer, user.Name, s, p.Counter)
		e.Seed = inGroups(s.base32(), 4, " ")
	}
	return e
}

func (c codes) resume(ctx context.Context, tx Tx, kind string, of store.FactorKind, ceremony Ceremony, token string) (*Enrolment, error) {
	p, s, err := c.pending(ctx, tx, kind, ceremony, token)
	if err != nil {
		return nil, err
	}
	return c.enrolment(token, of, ceremony.User, s, p), nil
}

func (c codes) pending(ctx context.Context, tx Tx, kind string, ceremony Ceremony, token string) (pending, seed, error) {
	p, err := pendingOf(tx, kind, token, ceremony, c.now())
	if err != nil {
		return pending{}, seed{}, err
	}
	s, err := c.open(ctx, ceremony.userID(), pendingColumn(kind, token), p.Sealed)
	return p, s, err
}

// finish turns an enrolment into a factor. Another enrolment may have been
// finished since this one began, so the limit is checked again.
func (c codes) finish(ctx context.Context, tx Tx, kind string, of store.FactorKind, userID, token, label string, s seed, counter int64) (*store.Factor, error) {
	if _, err := tx.TakeTicket(kind, store.HashOf(token), c.now()); errors.Is(err, store.ErrNotFound) {
		return nil, ErrExpired
	} else if err != nil {
		return nil, err
	}
	return c.add(ctx, tx, of, userID, label, s, counter)
}

// add adds a factor that works.
func (c codes) add(ctx context.Context, tx Tx, of store.FactorKind, userID, label string, s seed, counter int64) (*store.Factor, error) {
	have, err := factorsOf(tx, userID, of)
	if err != nil {
		return nil, err
	}
	if len(have) >= maxCodes {
		return nil, ErrTooMany
	}
	f := store.Factor{
		ID:        newID(),
		UserID:    userID,
		Kind:      of,
		Label:     cleanLabel(label),
		Confirmed: true,
		Counter:   counter,
		Created:   c.now(),
	}
	if f.Secret, err = c.seal(ctx, userID, factorColumn(f.ID), s); err != nil {
		return nil, err
	}
	if err := tx.PutFactor(f); err != nil {
		return nil, err
	}
	return &f, nil
}

// try calls check with each factor of a kind and its seed. For the first factor
// whose code is right, it stores the counter that check returned.
func (c codes) try(ctx context.Context, tx Tx, of store.FactorKind, userID string, check func(store.Factor, seed) (counter int64, right bool, err error)) (*Proof, error) {
	have, err := factorsOf(tx, userID, of)
	if err != nil {
		return nil, err
	}
	for _, f := range have {
		s, err := c.open(ctx, userID, factorColumn(f.ID), f.Secret)
		if err != nil {
			return nil, err
		}
		counter, right, err := check(f, s)
		if err != nil {
			return nil, err
		}
		if !right {
			continue
		}
		f.Counter, f.LastUsed = counter, c.now()
		if err := tx.PutFactor(f); err != nil {
			return nil, err
		}
		return &Proof{UserID: userID, FactorID: f.ID, Kind: of, AMR: []string{amrCode}}, nil
	}
	return nil, ErrWrong
}

// maxAnswer is the maximum length of an answer by code, with spaces.
const maxAnswer = 64

// splitCodes parses what a user entered into the field for a code: one code, or two
// successive ones of the same length, digits with spaces or hyphens between them.
// It returns nil for anything else.
func splitCodes(answer string) []string {
	if len(answer) > maxAnswer {
		return nil
	}
	digits := strings.NewReplacer(" ", "", "-", "", "\t", "", "\u00a0", "", ",", "").Replace(strings.TrimSpace(answer))
	if strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	switch n := len(digits); n {
	case 6, 8:
		return []string{digits}
	case 12, 16:
		return []string{digits[:n/2], digits[n/2:]}
	default:
		return nil
	}
}
