package passwords

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// importedPrefix is what a hash begins with that another system made. Its costs follow,
// see kindOf, and $. The rest is sealed, since no key is part of the hash.
const importedPrefix = "$imported$"

// column is what sealed hashes are bound to, beside the user's id.
const column = "password"

// Import returns what to keep of a hash of another system, until the first sign-in
// replaces it: bcrypt with a cost of at most 13, or argon2id or argon2i with at most
// 256 MiB and 10 passes.
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

// Imported returns the hash that was given to Import, or any other hash as it is.
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

// CheckImport returns an error for a hash that Import refuses.
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

// verifyImported takes the time of one of our hashes as well, whether the password is
// right or not.
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

// matchesImported compares with a hash of another system. Those that use bcrypt cut
// long passwords; a password that would be cut is a wrong one.
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
