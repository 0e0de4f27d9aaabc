package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// refreshTokens redeems the refresh token and verifies the response.
func (f *refreshFlow) refreshTokens(ctx context.Context, old session.Session) (refresh.Result, error) {
	p := f.provider
	key, err := dpop.ParseKey(cmp.Or(old.TokenKey, old.Grant.Key))
	if err != nil {
		return f.refused(ctx, &op.RefreshError{Err: err, Key: true}) // written by another release
	}
	tokens, err := p.Client.Refresh(ctx, old.Grant.RefreshToken, key)
	if err != nil {
		return f.refused(ctx, err)
	}
	tokens = f.checkTokenResponse(p, tokens)
	fresh := old
	fresh.Grant.RefreshToken, fresh.Grant.Issued = tokens.RefreshToken, f.Now()
	fresh.TokenKey, fresh.Grant.Key = tokens.Key.Encode(), tokens.RefreshKey.Encode()
	if alive, err := f.Sessions.Valid(ctx, f.loaded); err == nil && !alive { // a concurrent logout revoked only the old tokens
		fresh.AccessToken = tokens.AccessToken
		f.revokeTokens(ctx, p, &fresh)
		return refresh.Result{Ended: true}, nil
	}
	var idToken op.Claims
	if tokens.IDToken != "" {
		idToken, err = p.Client.VerifyRefreshed(ctx, tokens.IDToken, tokens.AccessToken, firstOf(&old))
		var unavailable *op.UnavailableError
		if errors.As(err, &unavailable) {
			// Keep the new refresh token, since the old one may be spent. The rest of
			// the response cannot be verified now and is dropped.
			return refresh.Result{Session: &fresh}, &refresh.OutageError{Err: err, After: unavailable.RetryAfter}
		}
		if err != nil {
			return f.end(ctx, err), nil
		}
	}
	findings, err := identity.Bound(&fresh, idToken, f.Now())
	f.logFindings(p, findings)
	if err != nil {
		return f.end(ctx, err), nil
	}
	if tokens.NotBearer != nil && (old.AccessToken != "" || usesAccessToken(ctx, p, f.NeedsOf(p, old.Requested), idToken)) {
		return refresh.Result{Session: &fresh}, tokens.NotBearer
	}
	needs := f.NeedsOf(p, old.Requested)
	err = f.applyTokens(ctx, needs, &fresh, tokens, idToken)
	if needs.Recheck {
		return f.confirm(ctx, &old, &fresh, err)
	}
	if err != nil {
		f.warn("claims_not_updated", "could not update claims after a token refresh; keeping the old ones",
			append(providerWords(err), slog.String("provider", p.ID), errAttr(err))...)
	}
	return refresh.Result{Session: &fresh}, nil
}

// refused returns the result when the provider issued no new tokens.
func (f *refreshFlow) refused(ctx context.Context, err error) (refresh.Result, error) {
	var failed *op.RefreshError
	if errors.As(err, &failed) && failed.Over {
		return f.end(ctx, err), nil
	}
	f.warn("refresh_failed", "the provider gave no new tokens; the session goes on for a while",
		append(providerWords(err), slog.String("provider", f.provider.ID), errAttr(err))...)
	if failed != nil && !failed.Down {
		return refresh.Result{}, err
	}
	outage := &refresh.OutageError{Err: err}
	if failed != nil {
		outage.After = failed.RetryAfter
	}
	return refresh.Result{}, outage
}

// firstOf returns what the session remembers of its first ID token.
func firstOf(s *session.Session) op.First {
	return op.First{Subject: s.Subject, Nonce: s.Grant.Nonce, Parties: s.Grant.Parties, AuthTime: s.Grant.AuthTime, Issued: s.IDTokenIssued}
}

// end ends a session that the provider no longer vouches for, on all nodes and for
// copies of its cookie.
func (f *refreshFlow) end(ctx context.Context, cause error) refresh.Result {
	if err := f.Sessions.Revoke(ctx, f.loaded); err != nil {
		f.warn("session_end_not_shared", "the end of a session could not be announced to other instances", errAttr(err))
	}
	f.auditSession(ctx, audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "refresh"}, f.provider, &f.loaded.Session,
		append(providerWords(cause), errAttr(cause))...)
	return refresh.Result{Ended: true}
}

// applyTokens stores the verified tokens of a refresh, and the claims that come
// with them, in a session. If it fails, it leaves the claims as they were and
// stores the tokens.
func (f *refreshFlow) applyTokens(ctx context.Context, needs *identity.Needs, fresh *session.Session, tokens op.Tokens, idToken op.Claims) error {
	identity.ApplyTokens(needs, fresh, tokens, idToken)
	switch {
	case idToken != nil:
		return f.replaceClaims(ctx, needs, fresh, tokens.Access(), idToken)
	case needs.Recheck && tokens.NotBearer != nil:
		return fmt.Errorf("%w: there is no new ID token, and %w", errUnconfirmed, tokens.NotBearer)
	case needs.Recheck:
		return f.replaceByUserinfo(ctx, needs, fresh, tokens.Access())
	case tokens.NotBearer == nil:
		return f.mergeUserinfo(ctx, needs, fresh, tokens.Access())
	}
	return nil
}

var errUserinfoLost = errors.New("userinfo did not answer, and has claims that the ID token does not have")

// replaceClaims replaces the claims of a session by those of a new ID token, as a
// login does.
func (f *refreshFlow) replaceClaims(ctx context.Context, needs *identity.Needs, fresh *session.Session, access op.Access, idToken op.Claims) error {
	info, lost, err := f.userinfo(ctx, f.provider, needs, idToken, access)
	if lost && needs.Recheck {
		return errUserinfoLost
	}
	if err != nil || lost {
		return err
	}
	findings, err := f.provider.Mapping.Replace(needs, fresh, identity.Sources{IDToken: idToken, Userinfo: info})
	f.logFindings(f.provider, findings)
	return err
}

// mergeUserinfo merges new userinfo into the claims of a session after a refresh
// without an ID token.
func (f *refreshFlow) mergeUserinfo(ctx context.Context, needs *identity.Needs, fresh *session.Session, access op.Access) error {
	p := f.provider
	if p.Mapping.Userinfo == identity.UserinfoNever {
		return nil
	}
	if has, err := p.Client.HasUserinfo(ctx); err != nil || !has {
		return err
	}
	info, err := p.fetchUserinfo(ctx, access, fresh.Subject)
	if err != nil {
		return err
	}
	return p.Mapping.Merge(needs, fresh, info)
}

// refreshFlow refreshes one session. It outlives the request that started it.
type refreshFlow struct {
	*Instance
	scope    *cookiescope.Scope
	provider *Provider
	loaded   *sessionstore.Loaded
}
