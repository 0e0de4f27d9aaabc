package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file rechecks the claims of a session if the configuration limits their age.
// New claims come with the refresh of tokens, or, without a refresh token, from
// userinfo.

// errUnconfirmed means that only a login can confirm the claims, which makes the
// session outdated.
var errUnconfirmed = errors.New("the claims of the session can be confirmed by a login alone")

// recheckDue reports whether the claims of a session have reached their maximum
// age.
func (in *Instance) recheckDue(s *session.Session) bool {
	return in.Recheck > 0 && !in.Now().Before(s.ClaimsAsOf().Add(in.Recheck))
}

// endOfGrace returns how long a session remains valid while the provider is down.
func (in *Instance) endOfGrace(s *session.Session) time.Time {
	if in.Recheck > 0 {
		return s.ClaimsAsOf().Add(in.Recheck + in.RecheckGrace)
	}
	return s.AccessTokenExpires.Add(refreshGrace)
}

// call updates the session at the provider, and counts and traces that.
func (f *refreshFlow) call(ctx context.Context, old session.Session) (refresh.Result, error) {
	ctx, span := observe.Start(ctx, "oidc_rp.refresh")
	got, err := f.update(ctx, old)
	outcome, outage := failed, (*refresh.OutageError)(nil)
	switch {
	case got.Ended:
		outcome = "ended"
	case err == nil:
		outcome = success
	case errors.As(err, &outage):
		outcome = "unavailable"
	}
	observe.TokenRefreshes.With(f.provider.ID, outcome).Inc()
	span.Set(observe.AttrProvider, f.provider.ID).Set(observe.AttrOutcome, outcome).End(err != nil)
	return got, err
}

// update refreshes the tokens, or rechecks the claims if there is no refresh token.
func (f *refreshFlow) update(ctx context.Context, old session.Session) (refresh.Result, error) {
	if alive, err := f.Sessions.Valid(ctx, f.loaded); err != nil {
		return refresh.Result{}, err
	} else if !alive {
		return refresh.Result{Ended: true}, nil
	}
	if old.Grant.RefreshToken != "" {
		return f.refreshTokens(ctx, old)
	}
	return f.recheck(ctx, old)
}

// recheck confirms the claims of a session without a refresh token by userinfo.
func (f *refreshFlow) recheck(ctx context.Context, old session.Session) (refresh.Result, error) {
	fresh := old
	key, err := dpop.ParseKey(old.TokenKey)
	if err != nil { // written by another release
		err = fmt.Errorf("%w: %w", errUnconfirmed, err)
	} else {
		err = f.replaceByUserinfo(ctx, f.NeedsOf(f.provider, old.Requested), &fresh, op.Access{Token: old.AccessToken, Key: key})
	}
	if op.IsTokenRefused(err) {
		err = fmt.Errorf("%w: the access token is over, and there is no refresh token: %w", errUnconfirmed, err)
	}
	switch {
	case op.IsUserinfoUntrusted(err):
		return f.end(ctx, err), nil
	case err != nil:
		return refresh.Result{}, f.notConfirmed(err)
	}
	fresh.Confirmed = f.Now()
	return refresh.Result{Session: &fresh}, nil
}

// confirm returns the result of a token refresh for a session whose claims are
// rechecked; err is why the claims could not be replaced.
func (f *refreshFlow) confirm(ctx context.Context, old, fresh *session.Session, err error) (refresh.Result, error) {
	switch {
	case err == nil:
		fresh.Confirmed = time.Time{} // they are as new as the tokens
		return refresh.Result{Session: fresh}, nil
	case op.IsUserinfoUntrusted(err):
		return f.end(ctx, err), nil
	}
	fresh.Confirmed = old.ClaimsAsOf()
	return refresh.Result{Session: fresh}, f.notConfirmed(err)
}

// notConfirmed logs why claims were not confirmed, and returns the error for the
// coordinator: an outage, unless only a login can confirm them.
func (f *refreshFlow) notConfirmed(err error) error {
	fields := append(providerWords(err), slog.String("provider", f.provider.ID), errAttr(err))
	if errors.Is(err, errUnconfirmed) {
		f.info("recheck_needs_login", "the claims of a session are too old, and only a login can confirm them", fields...)
		return err
	}
	f.warn("recheck_failed", "the provider did not confirm the claims of a session, which goes on for a while", fields...)
	return &refresh.OutageError{Err: err, After: op.RetryAfter(err)}
}

// replaceByUserinfo replaces the claims of a session by those of userinfo.
func (f *refreshFlow) replaceByUserinfo(ctx context.Context, needs *identity.Needs, fresh *session.Session, access op.Access) error {
	p := f.provider
	switch {
	case p.Mapping.Userinfo == identity.UserinfoNever:
		return fmt.Errorf("%w: there is no new ID token, and userinfo is never called", errUnconfirmed)
	case access.Token == "":
		return fmt.Errorf("%w: the session has neither a refresh token nor an access token", errUnconfirmed)
	}
	if has, err := p.Client.HasUserinfo(ctx); err != nil {
		return err
	} else if !has {
		return fmt.Errorf("%w: there is no new ID token, and the provider has no userinfo endpoint", errUnconfirmed)
	}
	info, err := p.fetchUserinfo(ctx, access, fresh.Subject)
	if err != nil {
		return err
	}
	findings, err := p.Mapping.ReplaceByUserinfo(needs, fresh, info)
	f.logFindings(p, findings)
	return err
}
