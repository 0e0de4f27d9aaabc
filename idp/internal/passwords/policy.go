package passwords

import (
	"context"

	"github.com/trustelem/zxcvbn"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
)

// strengthOf is the number of characters of a password that are examined for strength.
// The time grows faster than the length.
const strengthOf = 40

// Change describes a new password of a user.
type Change struct {
	UserID   string
	Password string
	// Old are the hashes of the user's passwords, the current one first.
	Old []string
	// Due reports whether the user must set a new password. The current one is then
	// refused, even if the rules do not include a history.
	Due      bool
	Personal authenticator.Personal
}

// Check returns the rules that a new password breaks. Cheap rules are checked first; if
// any of them is broken, the others are not checked.
func (p *Passwords) Check(ctx context.Context, caller Caller, a *authenticator.Authenticator, change Change) ([]authenticator.Failure, error) {
	if failures := a.CheckPassword(change.Password, change.Personal); len(failures) > 0 {
		return failures, nil
	}
	if required := a.Password.MinStrength; required > 0 {
		release, err := p.queue.acquire(ctx, caller, 1)
		if err != nil {
			return nil, err
		}
		strength := Strength(change.Password, change.Personal)
		release()
		if strength < required {
			return []authenticator.Failure{{Code: authenticator.TooWeak, Number: required}}, nil
		}
	}
	remembered := a.Password.History
	if change.Due {
		remembered = max(remembered, 1)
	}
	for _, old := range change.Old[:min(remembered, len(change.Old))] {
		if old == "" {
			continue
		}
		used, err := p.was(ctx, caller, change.UserID, old, change.Password)
		if err != nil {
			return nil, err
		}
		if used {
			return []authenticator.Failure{{Code: authenticator.UsedBefore, Number: remembered}}, nil
		}
	}
	return nil, nil
}

// was reports whether a password matches one of the user's own old hashes. It takes only
// as long as necessary, since that reveals nothing about other accounts.
func (p *Passwords) was(ctx context.Context, caller Caller, userID, hash, password string) (bool, error) {
	release, err := p.queue.acquire(ctx, caller, weightOf(hash))
	if err != nil {
		return false, err
	}
	defer release()
	ok, _, err := p.verify(ctx, userID, hash, password)
	return ok, err
}

// Strength estimates how hard a password is to guess, from 0 (easy) to 4 (hard).
func Strength(password string, personal authenticator.Personal) int {
	password, ok := authenticator.Normalize(password)
	if !ok {
		return 0
	}
	count := 0
	for i := range password {
		if count++; count > strengthOf {
			password = password[:i]
			break
		}
	}
	words := append([]string{personal.Name, personal.Email}, personal.Sites...)
	return zxcvbn.PasswordStrength(password, words).Score
}
