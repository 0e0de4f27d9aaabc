package factors

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

// RecoveryCode is the kind of proof that a recovery code gives. No factor has it.
const RecoveryCode store.FactorKind = "recovery"

const (
	recoveryCodes  = 10
	recoveryLength = 16 // characters of five bits: 80 bits
	recoveryGroup  = 4
	// The digits of Crockford's base32: no i, l, o and u.
	recoveryDigits = "0123456789abcdefghjkmnpqrstvwxyz"
)

// Recovery are codes on paper for users who have lost their factors: ten, each
// once.
//
// The database has their hashes with a key of the vault. Their 80 bits alone
// would make a plain SHA-256 hash safe for one code, but someone with a copy of
// the database could guess against all codes of all users at once.
type Recovery struct{ vault vault.Vault }

// Replace gives a user new codes, and returns them to be shown once. The old ones
// are void.
func (r *Recovery) Replace(ctx context.Context, tx Tx, userID string) ([]string, error) {
	shown := make([]string, recoveryCodes)
	hashes := make([]store.Hash, recoveryCodes)
	for i := range shown {
		code := newRecoveryCode()
		hash, err := r.hash(ctx, userID, code)
		if err != nil {
			return nil, err
		}
		shown[i], hashes[i] = inGroups(code, recoveryGroup, "-"), hash
	}
	if err := tx.SetRecoveryCodes(userID, hashes); err != nil {
		return nil, err
	}
	return shown, nil
}

// Verify uses a code up. Callers let the user in once, say so by mail, and demand
// a new factor: see MustEnrol of [store.User].
func (r *Recovery) Verify(ctx context.Context, tx Tx, c Ceremony, answer string) (*Proof, error) {
	code, ok := parseRecoveryCode(answer)
	if !ok {
		return nil, ErrWrong
	}
	hash, err := r.hash(ctx, c.userID(), code)
	if err != nil {
		return nil, err
	}
	err = tx.TakeRecoveryCode(c.userID(), hash)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrWrong
	}
	if err != nil {
		return nil, err
	}
	return &Proof{UserID: c.userID(), Kind: RecoveryCode, AMR: []string{amrCode}}, nil
}

// IsRecoveryCode reports whether what was typed has the form of a recovery code,
// not of a code by time or counter.
func IsRecoveryCode(answer string) bool {
	_, ok := parseRecoveryCode(answer)
	return ok && splitCodes(answer) == nil
}

func (r *Recovery) hash(ctx context.Context, userID, code string) (store.Hash, error) {
	mac, err := r.vault.Keyed(ctx, "recovery code", userID+"/"+code)
	if err != nil {
		return store.Hash{}, err
	}
	if len(mac) != len(store.Hash{}) {
		return store.Hash{}, errors.New("the keyed hash of a recovery code has an unexpected length")
	}
	return store.Hash(mac), nil
}

// newRecoveryCode returns a code that is not of digits alone, so that it never
// looks like two codes of a token.
func newRecoveryCode() string {
	for {
		b := make([]byte, recoveryLength)
		rand.Read(b) // it never fails
		for i := range b {
			b[i] = recoveryDigits[b[i]%32]
		}
		if code := string(b); splitCodes(code) == nil {
			return code
		}
	}
}

// alike are letters that look like digits, as Crockford's base32 reads them.
var alike = strings.NewReplacer("o", "0", "i", "1", "l", "1", "-", "", " ", "", "\t", "", "\u00a0", "")

// parseRecoveryCode reads a code as a user types it.
func parseRecoveryCode(answer string) (string, bool) {
	if len(answer) > maxAnswer {
		return "", false
	}
	code := alike.Replace(strings.ToLower(strings.TrimSpace(answer)))
	if len(code) != recoveryLength || strings.Trim(code, recoveryDigits) != "" {
		return "", false
	}
	return code, true
}
