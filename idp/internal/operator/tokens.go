package operator

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// AddTokenRequest gives a user an HOTP hardware token (RFC 4226).
type AddTokenRequest struct {
	User string `json:"user"`
	// Seed is the token's seed in hexadecimal or base32, as supplied by its vendor.
	Seed string `json:"seed"`
	// Digits is the length of the token's codes, 6 or 8. Default: 6.
	Digits int `json:"digits,omitempty"`
	// Counter is the counter of the token's next code. Default: 0.
	Counter int64  `json:"counter,omitempty"`
	Label   string `json:"label,omitempty"`
}

// Token is a hardware token and its user.
type Token struct {
	Factor
	User *User `json:"user"`
}

func (t Token) audit() []slog.Attr {
	return append(t.User.audit(), slog.String("factor", string(t.Kind)))
}

// addToken adds a hardware token to a user, who does not have to confirm it: it is
// required from the next sign-in. Browsers that are remembered are forgotten.
func addToken(ctx context.Context, s *server.Server, r AddTokenRequest) (Token, error) {
	user, err := found(ctx, s, r.User, store.Person)
	if err != nil {
		return Token{}, err
	}
	if r.Seed == "" {
		return Token{}, refuse(http.StatusBadRequest, "the token's seed is missing; add --seed-stdin, and write the seed to the standard input")
	}
	var added *store.Factor
	err = s.Store.Update(ctx, func(tx store.Tx) (err error) {
		added, err = s.Factors.HOTP.Add(ctx, tx, user.ID, factors.Setup{Seed: r.Seed, Digits: r.Digits, Counter: r.Counter}, r.Label)
		if err != nil {
			return err
		}
		return tx.DeleteTickets(user.ID, signin.TicketDevice)
	})
	for _, refused := range []error{factors.ErrSeed, factors.ErrDigits, factors.ErrCounter, factors.ErrTooMany} {
		if errors.Is(err, refused) {
			return Token{}, &Error{http.StatusBadRequest, refused}
		}
	}
	if err != nil {
		return Token{}, err
	}
	s.NotifyFactorAdded(ctx, user, added)
	return Token{Factor{added.Kind, added.Label, inUTC(added.Created), inUTC(added.LastUsed)}, shown(user)}, nil
}
