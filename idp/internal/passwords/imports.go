package passwords

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// importedPrefix is the prefix of stored hashes that were made by another system. It is
// followed by the kind (see kindOf), a dollar sign, and the sealed hash. Imported hashes
// are sealed because they are not keyed.
const importedPrefix = "$imported$"

// column is the column that sealed hashes are bound to, in addition to the user's ID.
const column = "password"

// Import returns the form in which to store a hash from another system until the user's
// first sign-in replaces it. It accepts bcrypt with a cost of at most 13, and argon2id
// and argon2i with at most 256 MiB and 10 passes.
func (p *Passwords) Import(ctx context.Context, userID, hash string) (string, error) {
	if err := CheckImport(hash); err != nil {
		return "", err
	}
	sealed, err := p.vault.Seal(ctx, userID, column, []byte(hash))
	if err != nil {
		return "", fmt.Errorf("seal hash: %w", err)
	}
	return importedPrefix + kindOf(hash) + "$" + base64.RawStdEncoding.EncodeToString(sealed), nil
}

// Imported returns the hash that was passed to Import, or any other hash unchanged.
func (p *Passwords) Imported(ctx context.Context, userID, hash string) (string, error) {
	if sealed, imported := strings.CutPrefix(hash, importedPrefix); imported {
		return p.openImported(ctx, userID, sealed)
	}
	return hash, nil
}

func (p *Passwords) openImported(ctx context.Context, userID, text string) (string, error) {
	if _, behind, ok := strings.Cut(text, "$"); ok {
		text = behind
	}
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", fmt.Errorf("imported hash: %w", err)
	}
	hash, err := p.vault.Open(ctx, userID, column, sealed)
	if err != nil {
		return "", fmt.Errorf("open imported hash: %w", err)
	}
	return string(hash), nil
}

// CheckImport returns an error if Import would not accept the hash.
func CheckImport(hash string) error {
	if strings.HasPrefix(hash, "$2") {
		return checkBcrypt(hash)
	}
	e, err := parse(hash)
	if err == nil && e.keyID != "" {
		return errors.New("this hash was made with a key that is not here")
	}
	return err
}

// verifyImported also takes the time of one of our own hashes, whether or not the
// password is correct.
func (p *Passwords) verifyImported(ctx context.Context, userID, hash, password string) (ok bool, upgraded string, err error) {
	opened, err := p.openImported(ctx, userID, hash)
	if err != nil {
		return false, "", err
	}
	if ok, err = p.matchesImported(opened, password); err != nil {
		return false, "", fmt.Errorf("imported hash: %w", err)
	}
	if !ok || password == "" {
		return false, "", p.dummy(ctx)
	}
	upgraded, err = p.hash(ctx, userID, password)
	return err == nil, upgraded, err
}

// matchesImported reports whether a password matches an imported hash. Systems with
// bcrypt truncate long passwords; here, a password that would be truncated does not
// match.
func (p *Passwords) matchesImported(hash, password string) (bool, error) {
	if err := CheckImport(hash); err != nil {
		return false, err
	}
	if strings.HasPrefix(hash, "$2") {
		short := password[:min(len(password), maxBcrypt)]
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(short))
		return err == nil && len(short) == len(password), nil
	}
	e, err := parse(hash)
	if err != nil {
		return false, err
	}
	return p.matches(e, []byte(password)), nil
}
