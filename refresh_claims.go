package oidcrp

import (
	"context"
	"encoding/json"
	"maps"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file puts refreshed tokens into a session, and what they say of the user.

// applyTokens puts checked tokens into a session. Whose session it is, and until
// when, does not change. Claims that cannot be had now stay what they were: the
// tokens must not be lost for them.
func (h *Handler) applyTokens(ctx context.Context, p *provider, fresh *session.Session, tokens op.Tokens, idToken op.Claims) {
	w := h.needs(p, fresh.Requested)
	fresh.AccessTokenExpires = tokens.Expires
	// A token that is there must not get old, whoever wants it.
	if fresh.AccessToken != "" || w.accessToken {
		fresh.AccessToken = tokens.AccessToken
	}
	var err error
	if idToken == nil { // the provider need not send one (Core 12.2)
		if tokens.NotBearer == nil {
			err = h.updateClaims(ctx, p, w, fresh, tokens.AccessToken)
		}
	} else {
		if fresh.IDToken != "" || w.idToken {
			fresh.IDToken = tokens.IDToken
		}
		applyAuth(fresh, idToken)
		err = h.replaceClaims(ctx, p, w, fresh, tokens.AccessToken, idToken)
	}
	if err != nil {
		h.logger.Warn("could not update claims after a token refresh; keeping the old ones", append(providerWords(err), zap.String("provider", p.id), zap.Error(err))...)
	}
}

// applyAuth takes how and when the user signed in from a new ID token. Neither
// need be in it (Core 12.2), and an older one says nothing new.
func applyAuth(fresh *session.Session, idToken op.Claims) {
	authTime, acr := op.AuthOf(idToken)
	if !authTime.IsZero() && authTime.Before(fresh.AuthTime) {
		return
	}
	if !authTime.IsZero() {
		fresh.AuthTime = authTime
	}
	if acr != "" {
		fresh.ACR = acr
	}
}

// replaceClaims makes the claims of a new ID token, as a sign-in does.
func (h *Handler) replaceClaims(ctx context.Context, p *provider, w *needs, fresh *session.Session, accessToken string, idToken op.Claims) error {
	info, lost, err := h.userinfo(ctx, p, w, idToken, accessToken)
	if err != nil || lost {
		return err
	}
	kept, fromInfo, err := h.selectClaims(p, w, idToken, info)
	if err != nil {
		return err
	}
	fresh.Claims, fresh.FromUserinfo = kept, fromInfo
	if name, err := username(p.usernames, idToken, info); err == nil {
		fresh.Username = name
	}
	return nil
}

// updateClaims asks userinfo for claims where a refresh brought no ID token. What
// it says is newer than what is kept. Of claims that it does not have, those that
// came from it are gone; those of the ID token stay, and so does the user's name.
func (h *Handler) updateClaims(ctx context.Context, p *provider, w *needs, fresh *session.Session, accessToken string) error {
	if p.userinfo == "never" {
		return nil
	}
	if has, err := p.client.HasUserinfo(ctx); err != nil || !has {
		return err
	}
	info, err := p.askUserinfo(ctx, accessToken, fresh.Subject)
	if err != nil {
		return err
	}
	old := make(map[string]json.RawMessage)
	fresh.Claims.Each(func(name string, value claims.Value) bool {
		old[name] = value.JSON()
		return true
	})
	kept, fromInfo, err := p.mergeClaims(w, old, fresh.FromUserinfo, info)
	if err != nil {
		return err
	}
	if fresh.Claims, err = claims.Encode(kept); err == nil {
		fresh.FromUserinfo = fromInfo
	}
	return err
}

// mergeClaims puts new userinfo over the claims of a session.
func (p *provider) mergeClaims(w *needs, old map[string]json.RawMessage, wasInfo session.Names, info op.Claims) (map[string]json.RawMessage, session.Names, error) {
	set, err := claims.Encode(info)
	if err != nil {
		return nil, "", err
	}
	kept := maps.Clone(old)
	maps.DeleteFunc(kept, func(name string, _ json.RawMessage) bool { return wasInfo.Has(name) })
	var names []string
	put := func(name string, raw json.RawMessage) {
		kept[name] = raw
		names = append(names, name)
	}
	if _, ok := info["email"]; ok {
		delete(kept, "email_verified") // it vouched for the address of before
	}
	for name, raw := range info {
		path, local := p.claims[name]
		_, was := old[name]
		switch {
		case local && path != name, !isKeepable(name), !w.keeps(name):
		case name == "email_verified" && info["email"] == nil:
		case was, wasInfo != "", w.names.Has(name), name == claims.SplitPath(p.groups)[0]:
			put(name, raw)
		}
	}
	for local, path := range p.claims {
		if value, ok := pathIn(set, path); ok && local != path && w.keeps(local) {
			put(local, value.JSON())
			if local == "email" {
				delete(kept, "email_verified")
			}
		}
	}
	if value, ok := set.PathEach(p.groups); ok {
		delete(kept, groupsEntry)
		if w.keeps("groups") && !isPlainPath(kept, p.groups) {
			put(groupsEntry, value.JSON())
		}
	}
	return kept, session.NamesOf(names...), nil
}
