package database

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var grants = newTable("grants", 1, func(g *store.Grant) []column {
	return []column{
		text("id", &g.ID), text("client_id", &g.ClientID), text("user_id", &g.UserID), text("sid", &g.SID),
		digest("code", &g.Code), moment("code_used", &g.CodeUsed), moment("code_ends", &g.CodeEnds),
		digest("refresh", &g.Refresh), data("data", &g.Data),
		moment("created", &g.Created), moment("expires", &g.Expires), moment("revoked", &g.Revoked),
	}
})

// retired is a refresh token that has been replaced.
type retired struct {
	hash     store.Hash
	grantID  string
	position int
}

var retiredTokens = newTable("retired_refresh_tokens", 1, func(r *retired) []column {
	return []column{digest("hash", &r.hash), text("grant_id", &r.grantID), number("position", &r.position)}
})

func (x *tx) grant(condition string, args ...any) (*store.Grant, error) {
	g, err := grants.one(x, condition, args...)
	if err != nil {
		return nil, err
	}
	g.Retired, err = x.retiredOf(g.ID)
	return g, err
}

func (x *tx) retiredOf(grantID string) ([]store.Hash, error) {
	rows, err := retiredTokens.where(x, "grant_id = $1 ORDER BY position", grantID)
	var hashes []store.Hash
	for _, r := range rows {
		hashes = append(hashes, r.hash)
	}
	return hashes, err
}

func (x *tx) Grant(id string) (*store.Grant, error) { return x.grant("id = $1", id) }

func (x *tx) GrantByCode(code store.Hash) (*store.Grant, error) { return x.grant("code = $1", code[:]) }

func (x *tx) GrantByRefresh(refresh store.Hash) (*store.Grant, error) {
	g, err := x.grant("refresh = $1", refresh[:])
	if !errors.Is(err, store.ErrNotFound) {
		return g, err
	}
	return x.grant("id = (SELECT grant_id FROM retired_refresh_tokens WHERE hash = $1)", refresh[:])
}

func (x *tx) PutGrant(g store.Grant) error {
	if err := grants.put(x, g); err != nil {
		return err
	}
	kept, err := x.retiredOf(g.ID)
	if err != nil {
		return err
	}
	// Usually the list has only grown at its end. Otherwise, all of it is written again.
	if len(kept) > len(g.Retired) || !slices.Equal(kept, g.Retired[:len(kept)]) {
		if err := retiredTokens.delete(x, "grant_id = $1", g.ID); err != nil {
			return err
		}
		kept = nil
	}
	for i := len(kept); i < len(g.Retired); i++ {
		if err := retiredTokens.put(x, retired{g.Retired[i], g.ID, i}); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) RevokeGrants(userID, sid, clientID string, now time.Time) error {
	var conditions []string
	args := []any{micros(now)}
	for _, c := range []struct{ column, value string }{{"user_id", userID}, {"sid", sid}, {"client_id", clientID}} {
		if c.value != "" {
			args = append(args, c.value)
			conditions = append(conditions, fmt.Sprintf("%s = $%d", c.column, len(args)))
		}
	}
	if conditions == nil {
		return errors.New("database: RevokeGrants needs a user, a session or a client")
	}
	condition := strings.Join(conditions, " AND ")
	if sid == "" { // includes tokens without a grant
		if _, err := x.exec("UPDATE tokens SET revoked = $1 WHERE revoked = 0 AND "+condition, args...); err != nil {
			return err
		}
	}
	return x.revokeGrants(condition, args...)
}

func (x *tx) RevokeOtherGrants(userID, butSID string, now time.Time) error {
	return x.revokeGrants("user_id = $2 AND sid <> $3", micros(now), userID, butSID)
}

// revokeGrants revokes the grants for which a condition holds, and their access tokens.
// The first argument is the time of the revocation.
func (x *tx) revokeGrants(condition string, args ...any) error {
	_, err := x.exec("UPDATE tokens SET revoked = $1 WHERE revoked = 0 AND grant_id IN (SELECT id FROM grants WHERE "+condition+")", args...)
	if err != nil {
		return err
	}
	_, err = x.exec("UPDATE grants SET revoked = $1 WHERE revoked = 0 AND "+condition, args...)
	return err
}

var tokens = newTable("tokens", 1, func(t *store.Token) []column {
	return []column{
		digest("hash", &t.Hash), text("grant_id", &t.GrantID), text("user_id", &t.UserID), text("client_id", &t.ClientID),
		data("data", &t.Data), moment("created", &t.Created), moment("expires", &t.Expires), moment("revoked", &t.Revoked),
	}
})

func (x *tx) Token(hash store.Hash) (*store.Token, error) { return tokens.one(x, "hash = $1", hash[:]) }

func (x *tx) PutToken(t store.Token) error { return tokens.put(x, t) }

func (x *tx) RevokeTokens(grantID string, now time.Time) error {
	_, err := x.exec("UPDATE tokens SET revoked = $1 WHERE revoked = 0 AND grant_id = $2", micros(now), grantID)
	return err
}
