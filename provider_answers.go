package oidcrp

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file says what providers answer: in fields of log lines, and once per
// provider where an answer is not what the configuration counts on.

// providerWords are the fields for what a provider says about a failure. They
// are never part of a message.
func providerWords(err error) (fields []zap.Field) {
	var refused *op.Refusal
	if !errors.As(err, &refused) {
		return nil
	}
	for _, word := range []struct{ name, text string }{
		{"provider_error", refused.Code}, {"provider_error_description", refused.Description},
		{"provider_error_uri", refused.URI}, {"provider_message", refused.Message},
	} {
		if word.text != "" {
			fields = append(fields, zap.String(word.name, word.text))
		}
	}
	return fields
}

// checkTokenResponse returns the tokens of an answer as they are used here, and tells an
// operator what is odd about them. A lifetime that is not configured is assumed only
// where an access token is replaced in time.
func (h *Handler) checkTokenResponse(p *provider, tokens op.Tokens) op.Tokens {
	for _, odd := range tokens.Odd {
		h.warnOnce(p, "odd", odd.Member, "a member of the provider's token answer cannot be read and counts as absent",
			zap.String("member", odd.Member), zap.String("found", odd.Found))
	}
	if tokens.NotBearer != nil {
		h.warnOnce(p, "token_type", "", "the provider's access tokens are no bearer tokens and cannot be used", zap.Error(tokens.NotBearer))
	}
	switch {
	case h.refreshes() && tokens.Assumed > 0 && tokens.RefreshToken != "":
		h.warnOnce(p, "expires_in", "", "the provider does not say when its access tokens expire (expires_in); a lifetime is assumed, see access_token_lifetime",
			zap.Duration("assumed", tokens.Assumed))
	case tokens.Assumed > 0 && p.client.AccessTokenLifetime == 0:
		tokens.Expires, tokens.Assumed = time.Time{}, 0
	}
	if h.session.Refresh != nil && *h.session.Refresh && tokens.RefreshToken == "" {
		h.warnOnce(p, "refresh_token", "", "refresh is on, but the provider gave no refresh token, so its sessions are not refreshed; many providers want the scope offline_access")
	}
	return tokens
}

// usesAccessToken reports whether a login needs its access token: for the
// application, or for userinfo.
func (h *Handler) usesAccessToken(ctx context.Context, p *provider, needs *identity.Needs, idToken op.Claims) bool {
	switch {
	case needs.AccessToken:
		return true
	case idToken == nil || p.mapping.Userinfo == identity.UserinfoNever:
		return false
	case p.mapping.Userinfo == identity.UserinfoAlways:
		return true
	case !p.mapping.NeedsUserinfo(needs, idToken):
		return false
	}
	has, err := p.client.HasUserinfo(ctx)
	return has || err != nil
}

// logSkippedKeys says once per change which keys of a provider are not used,
// and why. Keys that are for something else are no news.
func (h *Handler) logSkippedKeys(p *provider) {
	skipped, changes := p.client.Discovery.SkippedKeys()
	if p.announcedKeys.Swap(changes) == changes {
		return
	}
	for _, key := range skipped {
		level := zap.InfoLevel
		if key.Ordinary {
			level = zap.DebugLevel
		}
		h.logger.Log(level, "a key of the provider is not used", zap.String("provider", p.id), zap.String("kid", key.KID), zap.String("reason", key.Reason))
	}
}
