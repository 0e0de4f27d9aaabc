package flow

import (
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file logs, mostly once per provider, what providers send differently from
// what the configuration expects.

// checkTokenResponse logs what is unusual about a token response, and returns its
// tokens as they are used here. An assumed lifetime is kept only if it is
// configured, or if the access token can be refreshed.
func (in *Instance) checkTokenResponse(p *Provider, tokens op.Tokens) op.Tokens {
	for _, odd := range tokens.Odd {
		in.warnOnce(p, "odd", odd.Member, "token_member_unreadable", "a member of the provider's token answer cannot be read and counts as absent",
			slog.String("member", odd.Member), slog.String("found", odd.Found))
	}
	if tokens.NotBearer != nil {
		in.warnOnce(p, "token_type", "", "access_token_unusable", "the provider's access tokens are no bearer tokens and cannot be used", errAttr(tokens.NotBearer))
	}
	switch {
	case in.Refresh && tokens.Assumed > 0 && tokens.RefreshToken != "":
		in.warnOnce(p, "expires_in", "", "access_token_lifetime_assumed", "the provider does not say when its access tokens expire (expires_in); a lifetime is assumed, see access_token_lifetime",
			slog.Duration("assumed", tokens.Assumed))
	case tokens.Assumed > 0 && p.Client.AccessTokenLifetime == 0:
		tokens.Expires, tokens.Assumed = time.Time{}, 0
	}
	if in.ExpectRefresh && tokens.RefreshToken == "" {
		in.warnOnce(p, "refresh_token", "", "refresh_token_missing", "refresh is on, but the provider gave no refresh token, so its sessions are not refreshed; many providers want the scope offline_access")
	}
	return tokens
}

// logFindings logs claims, scopes and groups that the configuration names and the
// provider did not send as expected: once for each configuration, except for
// withheld groups, which differ from user to user.
func (in *Instance) logFindings(p *Provider, findings []identity.Finding) {
	for _, f := range findings {
		switch f.Kind {
		case identity.ClaimAbsent:
			in.warnOnce(p, "claim", f.Name, "claim_missing", "the configuration names a claim that the provider did not send with a sign-in; if the user should have it, see whether it needs another scope, or has to be released for this client there",
				slog.String("claim", f.Name), slog.Any("scopes", append([]string{"openid"}, p.Client.Scopes...)))
		case identity.EmailUnverified:
			in.warnOnce(p, "unverified", f.Name, "email_unverified", "the claim email is there, but does not count as the user's address: "+f.Detail+"; claims.email names the claim as it is, which proves nothing")
		case identity.GroupsUnreadable:
			in.warnOnce(p, "groups", f.Name, "groups_unreadable", "the groups claim is there but is not a list of names; of a list of objects groups_claim can name a member, such as groups.name",
				slog.String("claim", f.Name), slog.String("form", f.Detail))
		case identity.GroupsWithheld:
			in.warn("groups_withheld", "the groups of a user are not known: the provider left them out because they are too many; assign groups to the application there and have it send only those, or use app roles (groups_claim roles)",
				slog.String("provider", p.ID), slog.String("issuer", p.Mapping.Issuer), slog.String("claim", f.Name))
		case identity.ClaimGone:
			in.warnOnce(p, "claim_gone", f.Name, "claim_gone", "a claim of the sign-in is not in userinfo, and is gone after a recheck; release it there, or have the provider give refresh tokens, which many do for the scope offline_access",
				slog.String("claim", f.Name))
		case identity.SessionExpiryUnreadable:
			in.warnOnce(p, "session_expiry", "", "session_expiry_unreadable", "the provider's session_expiry cannot be read and counts as absent, so that sessions last for their lifetime",
				slog.String("claim", f.Name), slog.String("found", f.Detail))
		case identity.ScopeNotGranted:
			in.warnOnce(p, "scope", f.Name, "scope_not_granted", "the provider did not grant a scope that was asked for; see whether this client may have it",
				slog.String("scope", f.Name))
		}
	}
}

// logSkippedKeys logs once per change of the key set which keys are not used, and
// why. Keys for other purposes are logged at debug level.
func (in *Instance) logSkippedKeys(p *Provider) {
	skipped, changes := p.Client.Discovery.SkippedKeys()
	if p.skippedKeys.Swap(changes) == changes {
		return
	}
	for _, key := range skipped {
		write := in.info
		if key.Ordinary {
			write = in.debug
		}
		write("provider_key_skipped", "a key of the provider is not used", slog.String("provider", p.ID), slog.String("kid", key.KID), slog.String("reason", key.Reason))
	}
}
