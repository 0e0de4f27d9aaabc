package provider

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// maxRetired is how many earlier refresh tokens are remembered. Their use ends the
// family. If there are more, the older half is forgotten.
const maxRetired = 32

// refresh exchanges a refresh token for new tokens (RFC 6749, section 6).
//
// A rotated token that comes again ends the family at once, also if the answer of
// the first use was lost: there is no telling a thief from a bad connection, and
// while the single sign-on session lasts a new sign-in costs a redirect. Of two
// requests at the same time one loses and ends nothing: the other has not answered
// yet, so both have the same right to the token.
func (p *Provider) refresh(r *http.Request, client *party, params parameters) (any, *protocolError, error) {
	presented := params["refresh_token"]
	if presented == "" {
		return nil, invalidRequest("refresh_token is missing"), nil
	}
	u := &unit{now: p.Now(), client: client, presented: presented, isRefresh: true, refresh: presented}
	err := p.Store.View(r.Context(), func(tx store.Tx) error {
		grant, err := tx.GrantByRefresh(store.HashOf(presented))
		if err := u.loadFor(tx, client, grant, err); err != nil {
			return err
		}
		return u.checkSession(tx)
	})
	if isWrongGrant(err) {
		return nil, wrongGrant, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load a grant: %w", err)
	}
	if !u.grant.Revoked.IsZero() || !u.now.Before(u.grant.Expires) {
		return nil, wrongGrant, nil
	}
	if u.grant.Refresh != store.HashOf(presented) {
		return nil, wrongGrant, p.rotatedAgain(r.Context(), u)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {client.ID}, "refresh_token": {presented}}
	if scope, ok := params["scope"]; ok {
		form.Set("scope", scope)
	}
	return p.exchange(r, u, form, func(tx store.Tx) error { return commitRefreshed(tx, u) })
}

// checkSession makes the refresh tokens of users who authenticated at an external
// provider end with their session, because nothing else shows whether they are
// still allowed.
func (u *unit) checkSession(tx store.Tx) error {
	if u.data.External == "" {
		return nil
	}
	session, err := tx.Session(u.grant.SID)
	if err != nil {
		return err
	}
	if !u.now.Before(session.Expires) {
		return store.ErrNotFound
	}
	return nil
}

// commitRefreshed replaces the refresh token.
func commitRefreshed(tx store.Tx, u *unit) error {
	old := store.HashOf(u.presented)
	grant, err := tx.GrantByRefresh(old)
	if err != nil {
		return err
	}
	if grant.Refresh != old || !grant.Revoked.IsZero() {
		return errTaken
	}
	if _, err := activeUser(tx, grant.UserID); err != nil {
		return err
	}
	if next := store.HashOf(u.refresh); next != old {
		grant.Refresh = next
		grant.Retired = append(grant.Retired, old)
		if len(grant.Retired) > maxRetired {
			grant.Retired = grant.Retired[maxRetired/2:]
		}
	}
	grant.Expires = u.now.Add(refreshLifetime)
	if err := tx.PutGrant(*grant); err != nil {
		return err
	}
	return tx.PutToken(*u.token)
}

func (p *Provider) rotatedAgain(ctx context.Context, u *unit) error {
	p.Logger.LogAttrs(ctx, slog.LevelWarn, "a refresh token was used again; its family is revoked",
		slog.String("event", "refresh_token_reused"), slog.String("client_id", u.client.ID), slog.String("sub", u.grant.UserID))
	p.count("token", "refresh_token_reused")
	return p.revokeGrant(ctx, u.grant.ID)
}
