package provider

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// retryWindow is how long the second use of a code may be a retry of a client that
// did not receive the first response.
const retryWindow = 5 * time.Second

// errTaken means that another request has used a code or a refresh token, or has
// revoked the grant, since it was loaded.
var errTaken = errors.New("the grant was used or revoked meanwhile")

// wrongGrant is the common error for codes and refresh tokens that are unknown,
// expired, used, or of another client.
var wrongGrant = &protocolError{"invalid_grant", "the code or token is not valid, or not any more"}

// redeem exchanges a code for tokens (RFC 6749, section 4.1.3). Only the
// transaction at the end spends the code: a failed request changes nothing.
func (p *Provider) redeem(r *http.Request, client *party, params parameters) (any, *protocolError, error) {
	code := params["code"]
	if code == "" {
		return nil, invalidRequest("code is missing"), nil
	}
	u := &unit{now: p.Now(), client: client, presented: code}
	err := p.Store.View(r.Context(), func(tx store.Tx) error {
		grant, err := tx.GrantByCode(store.HashOf(code))
		return u.loadFor(tx, client, grant, err)
	})
	if isWrongGrant(err) {
		return nil, wrongGrant, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load a grant: %w", err)
	}
	if !u.grant.CodeUsed.IsZero() {
		return nil, wrongGrant, p.usedAgain(r.Context(), u, params["code_verifier"])
	}
	if !u.grant.Revoked.IsZero() || !u.now.Before(u.grant.CodeEnds) {
		return nil, wrongGrant, nil
	}
	if u.wantsRefresh() {
		u.refresh = rand.Text()
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client.ID}, "code": {code},
		"redirect_uri": {params["redirect_uri"]}, "code_verifier": {params["code_verifier"]},
	}
	return p.exchange(r, u, form, func(tx store.Tx) error { return commitRedeemed(tx, u) })
}

// loadFor loads into a unit what a code or refresh token refers to.
func (u *unit) loadFor(tx store.Tx, client *party, grant *store.Grant, err error) error {
	if err != nil {
		return err
	}
	if grant.ClientID != client.ID {
		return store.ErrNotFound
	}
	if err := u.load(grant); err != nil {
		return err
	}
	u.user, err = activeUser(tx, grant.UserID)
	return err
}

func isWrongGrant(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, sso.ErrUserGone) || errors.Is(err, errTaken)
}

// exchange makes the library validate a request and create the tokens, and commits
// them.
func (p *Provider) exchange(r *http.Request, u *unit, form url.Values, commit func(store.Tx) error) (any, *protocolError, error) {
	inner, err := p.form(r, "/token", form)
	if err != nil {
		return nil, nil, err
	}
	answer := p.run(u, inner)
	if wrong, err := answer.refusal(); wrong != nil || err != nil {
		return nil, wrong, err
	}
	if u.token == nil {
		return nil, nil, errors.New("the library made no token")
	}
	err = p.Store.Update(r.Context(), commit)
	if isWrongGrant(err) {
		return nil, wrongGrant, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("keep tokens: %w", err)
	}
	document, err := withSession(answer.document(), u)
	return document, nil, err
}

// withSession adds session_state to a token response for a client with a back
// channel. Keycloak uses it, rather than the sid of the ID token, to find the
// session of a logout token. Other clients ignore it (RFC 6749, section 5.1).
func withSession(document json.RawMessage, u *unit) (json.RawMessage, error) {
	if u.client.BackchannelLogoutURI == "" {
		return document, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		return nil, fmt.Errorf("read the token response of the library: %w", err)
	}
	sid, err := json.Marshal(u.grant.SID)
	if err != nil {
		return nil, err
	}
	members["session_state"] = sid
	return json.Marshal(members)
}

// commitRedeemed spends a code and stores what was issued for it.
func commitRedeemed(tx store.Tx, u *unit) error {
	grant, err := tx.GrantByCode(store.HashOf(u.presented))
	if err != nil {
		return err
	}
	if !grant.CodeUsed.IsZero() || !grant.Revoked.IsZero() {
		return errTaken
	}
	if _, err := activeUser(tx, grant.UserID); err != nil {
		return err
	}
	grant.CodeUsed, grant.Expires = u.now, u.token.Expires
	if u.refresh != "" {
		grant.Refresh, grant.Expires = store.HashOf(u.refresh), u.now.Add(refreshLifetime)
	}
	if err := tx.PutGrant(*grant); err != nil {
		return err
	}
	if err := tx.PutToken(*u.token); err != nil {
		return err
	}
	return tx.AddSessionClient(grant.SID, grant.ClientID)
}

// usedAgain handles a code that its client sends again: everything issued for it is
// revoked, unless the client repeats its request immediately (RFC 6749, section
// 4.1.2).
func (p *Provider) usedAgain(ctx context.Context, u *unit, verifier string) error {
	if u.now.Sub(u.grant.CodeUsed) <= retryWindow && u.isVerifiedBy(verifier) {
		return nil
	}
	p.Logger.LogAttrs(ctx, slog.LevelWarn, "an authorization code was used again; what it gave is revoked",
		slog.String("event", "code_reused"), slog.String("client_id", u.client.ID), slog.String("sub", u.grant.UserID))
	p.count("token", "code_reused")
	return p.revokeGrant(ctx, u.grant.ID)
}

func (u *unit) isVerifiedBy(verifier string) bool {
	if u.data.Challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:]) == u.data.Challenge
}

// revokeGrant revokes a grant and everything issued for it.
func (p *Provider) revokeGrant(ctx context.Context, id string) error {
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		grant, err := tx.Grant(id)
		if err != nil {
			return err
		}
		return revoke(tx, grant, p.Now())
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("revoke a grant: %w", err)
	}
	return nil
}

func revoke(tx store.Tx, grant *store.Grant, now time.Time) error {
	if grant.Revoked.IsZero() {
		grant.Revoked = now
		if err := tx.PutGrant(*grant); err != nil {
			return err
		}
	}
	return tx.RevokeTokens(grant.ID, now)
}

// revokeToken revokes an access token, or a refresh token with its grant.
func revokeToken(tx store.Tx, clientID, secret string, now time.Time) error {
	hash := store.HashOf(secret)
	token, err := tx.Token(hash)
	if err == nil {
		if token.ClientID != clientID || !token.Revoked.IsZero() {
			return nil
		}
		token.Revoked = now
		return tx.PutToken(*token)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	grant, err := tx.GrantByRefresh(hash)
	if errors.Is(err, store.ErrNotFound) || err == nil && grant.ClientID != clientID {
		return nil
	}
	if err != nil {
		return err
	}
	return revoke(tx, grant, now)
}
