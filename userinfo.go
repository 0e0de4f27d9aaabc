package oidcrp

import (
	"context"
	"encoding/json"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file fetches userinfo for package identity, at logins and refreshes, and
// logs what that package finds missing.

// userinfo fetches userinfo if the configuration wants it. lost reports that the
// endpoint did not answer and that the user's name does not depend on it: what
// only headers and placeholders need is empty then. An answer about another user
// is always an error.
func (h *Handler) userinfo(ctx context.Context, p *provider, needs *identity.Needs, idToken op.Claims, accessToken string) (info op.Claims, lost bool, err error) {
	policy := p.mapping.Userinfo
	if policy == identity.UserinfoNever || policy == identity.UserinfoAuto && !p.mapping.NeedsUserinfo(needs, idToken) {
		return nil, false, nil
	}
	if policy == identity.UserinfoAuto {
		if has, err := p.client.HasUserinfo(ctx); err != nil || !has {
			return nil, false, err
		}
	}
	var subject string
	if err := json.Unmarshal(idToken["sub"], &subject); err != nil {
		return nil, false, err
	}
	info, err = p.fetchUserinfo(ctx, accessToken, subject)
	if op.IsUserinfoLost(err) && p.mapping.IsNamedBy(idToken) {
		h.warnOnce(p, "userinfo", "", "userinfo failed; sign-ins go on without the claims that only it has. If the provider's userinfo endpoint is of no use, switch it off with userinfo never",
			append(providerWords(err), zap.Error(err))...)
		return nil, true, nil
	}
	return info, false, err
}

// fetchUserinfo fetches the claims of a subject.
func (p *provider) fetchUserinfo(ctx context.Context, accessToken, subject string) (op.Claims, error) {
	info, err := p.client.Userinfo(ctx, accessToken, subject)
	identity.DropSignInClaims(info)
	return info, err
}

// applyTokens puts the checked tokens of a refresh into a session, and the claims
// that come with them. If claims cannot be updated now, they stay what they were:
// the tokens must not be lost for that.
func (h *Handler) applyTokens(ctx context.Context, p *provider, fresh *session.Session, tokens op.Tokens, idToken op.Claims) {
	needs := h.needs(p, fresh.Requested)
	identity.ApplyTokens(needs, fresh, tokens, idToken)
	var err error
	switch {
	case idToken != nil:
		err = h.replaceClaims(ctx, p, needs, fresh, tokens.AccessToken, idToken)
	case tokens.NotBearer == nil:
		err = h.mergeUserinfo(ctx, p, needs, fresh, tokens.AccessToken)
	}
	if err != nil {
		h.logger.Warn("could not update claims after a token refresh; keeping the old ones", append(providerWords(err), zap.String("provider", p.id), zap.Error(err))...)
	}
}

// replaceClaims gives a session the claims of a new ID token, as a login does.
func (h *Handler) replaceClaims(ctx context.Context, p *provider, needs *identity.Needs, fresh *session.Session, accessToken string, idToken op.Claims) error {
	info, lost, err := h.userinfo(ctx, p, needs, idToken, accessToken)
	if err != nil || lost {
		return err
	}
	findings, err := p.mapping.Replace(needs, fresh, identity.Sources{IDToken: idToken, Userinfo: info})
	h.logFindings(p, findings)
	return err
}

// mergeUserinfo puts new userinfo over the claims of a session, for a refresh that
// brought no ID token.
func (h *Handler) mergeUserinfo(ctx context.Context, p *provider, needs *identity.Needs, fresh *session.Session, accessToken string) error {
	if p.mapping.Userinfo == identity.UserinfoNever {
		return nil
	}
	if has, err := p.client.HasUserinfo(ctx); err != nil || !has {
		return err
	}
	info, err := p.fetchUserinfo(ctx, accessToken, fresh.Subject)
	if err != nil {
		return err
	}
	return p.mapping.Merge(needs, fresh, info)
}

// logFindings logs what the configuration names and the provider did not send as
// it should: once for each configuration, except for groups that are withheld,
// which differs from user to user.
func (h *Handler) logFindings(p *provider, findings []identity.Finding) {
	for _, f := range findings {
		switch f.Kind {
		case identity.ClaimAbsent:
			h.warnOnce(p, "claim", f.Name, "the configuration names a claim that the provider did not send with a sign-in; see whether it needs another scope, or has to be released for this client there",
				zap.String("claim", f.Name), zap.Strings("scopes", append([]string{"openid"}, p.client.Scopes...)))
		case identity.EmailUnverified:
			h.warnOnce(p, "unverified", f.Name, "the claim email is there, but does not count as the user's address: email_verified is "+f.Detail+"; claims.email names the claim as it is, which proves nothing")
		case identity.GroupsUnreadable:
			h.warnOnce(p, "groups", f.Name, "the groups claim is there but is not a list of names; of a list of objects groups_claim can name a member, such as groups.name",
				zap.String("claim", f.Name), zap.String("form", f.Detail))
		case identity.GroupsWithheld:
			h.logger.Warn("the groups of a user are not known: the provider left them out because they are too many; assign groups to the application there and have it send only those, or use app roles (groups_claim roles)",
				zap.String("provider", p.id), zap.String("issuer", p.issuer), zap.String("claim", f.Name))
		case identity.ScopeNotGranted:
			h.warnOnce(p, "scope", f.Name, "the provider did not grant a scope that was asked for; see whether this client may have it",
				zap.String("scope", f.Name))
		}
	}
}
