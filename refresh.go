package oidcrp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file keeps the tokens of a session fresh. When that is due, the request
// that finds it waits for new tokens before the application is called; what
// many requests and nodes do about it together is up to refresh.Coordinator.

const (
	// refreshLead is how long before the access token expires it is renewed, or
	// a tenth of its life where that is less.
	refreshLead = time.Minute
	// refreshGrace is how long a session goes on after its access token expired
	// while the provider can give no new one. Then nobody can say whether the
	// user is still welcome.
	refreshGrace = time.Hour
	// How long a request waits for new tokens while the old one is good, and
	// when it is not.
	refreshWait       = 5 * time.Second
	refreshWaitLong   = 30 * time.Second
	refreshRetryAfter = 10 * time.Second
)

// refreshes says whether sessions are to be kept fresh here.
func (h *Handler) refreshes() bool {
	if h.session.Refresh != nil {
		return *h.session.Refresh
	}
	return h.Upstream != nil && (h.Upstream.AccessToken != "" || h.Upstream.IDToken != "")
}

// refreshDue says whether it is time for new tokens. Of a token that is not
// said to expire nobody knows.
func (h *Handler) refreshDue(s *session.Session) bool {
	if !h.refreshes() || s.Grant.RefreshToken == "" || s.AccessTokenExpires.IsZero() {
		return false
	}
	life := s.AccessTokenExpires.Sub(s.Grant.Issued)
	lead := max(0, min(refreshLead, life/10))
	return !h.now().Before(s.AccessTokenExpires.Add(-lead))
}

// refreshSession gets the visitor's session new tokens. If it ended there,
// nobody is signed in afterwards; sets says that the answer sets a cookie.
// With a failure it cannot be said any more who this is.
func (h *Handler) refreshSession(w http.ResponseWriter, r *http.Request, st *requestState) (sets bool, f *failure) {
	s, p := h.cookieScope(r), st.provider
	present := s.FindSession(st.cookies).Chunks
	renewed, err := h.awaitRefresh(r, st, s)
	alive, unknown := h.sessions.Valid(r.Context(), st.loaded)
	if unknown != nil {
		st.provider = nil
		return false, storageFailure(unknown)
	}
	var lost error
	ended := errors.Is(err, sessionstore.ErrRevoked) || !alive // a logout meanwhile, here or elsewhere, counts more
	if !ended && (renewed || st.updateDue) {
		sets, lost = h.updateSession(w, st, s, present)
		ended = errors.Is(lost, sessionstore.ErrRevoked)
	}
	if ended {
		st.provider = nil
		s.ClearSession(w.Header(), present)
		return true, nil
	}
	if renewed && lost != nil {
		h.logger.Error("the session could not be kept with its new tokens, which are lost", zap.String("provider", p.id), zap.Error(lost))
	}
	if err != nil && !h.now().Before(st.session.AccessTokenExpires.Add(refreshGrace)) {
		st.provider = nil // the cookie stays: the provider may be back soon
		return sets, &failure{errorcode.ProviderUnavailable, fmt.Errorf("the tokens of a session expired more than %s ago and cannot be refreshed: %w", refreshGrace, err), p, ""}
	}
	return sets, nil
}

// renew waits for a newer state of the session and takes it over. Another
// request may have left one that is due again already.
func (h *Handler) awaitRefresh(r *http.Request, st *requestState, s *cookiescope.Scope) (renewed bool, err error) {
	wait := refreshWaitLong
	if h.now().Before(st.session.AccessTokenExpires) {
		wait = h.app.refreshWait
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	for try := 0; try < 2 && err == nil && h.refreshDue(st.session); try++ {
		var got refresh.Result
		got, err = h.refresher.Do(ctx, h.attempt(st.loaded, *st.session, st.provider, s))
		if got.Ended {
			return false, sessionstore.ErrRevoked
		}
		if got.Session != nil {
			st.session, renewed = got.Session, true
		}
	}
	return renewed, err
}

// attempt is all that the coordinator needs to know.
func (h *Handler) attempt(l *sessionstore.Loaded, old session.Session, p *provider, s *cookiescope.Scope) refresh.Attempt {
	place := "refresh\x00" + s.SessionAAD + "\x00" + string(old.ID[:])
	return refresh.Attempt{
		Session: old, Provider: string(p.registration[:]),
		Call: func(ctx context.Context, old session.Session) (refresh.Result, error) {
			return h.refreshTokens(ctx, p, l, old)
		},
		Seal: func(ctx context.Context, plain []byte) (string, error) {
			ring, err := h.keys.Ring(ctx)
			if err != nil {
				return "", err
			}
			return ring.Seal(seal.ForSession, place, plain), nil
		},
		Open: func(ctx context.Context, sealed string) ([]byte, error) {
			ring, err := h.keys.Ring(ctx)
			if err != nil {
				return nil, err
			}
			plain, _, err := ring.Open(seal.ForSession, place, sealed)
			if errors.Is(err, seal.ErrUnknownKey) {
				if ring, err = h.keys.Renewed(ctx); err == nil {
					plain, _, err = ring.Open(seal.ForSession, place, sealed)
				}
			}
			return plain, err
		},
		Keep: func(ctx context.Context, newer *session.Session) error {
			if l.InCookies() {
				return nil // it is in the browser's cookie
			}
			ring, err := h.keys.Ring(ctx)
			if err == nil {
				_, err = h.sessions.Update(ctx, ring, s.SessionAAD, l, newer)
			}
			if errors.Is(err, sessionstore.ErrRevoked) {
				return nil
			}
			return err
		},
		Lost: func(err error) {
			h.logger.Warn("other instances cannot learn of a refreshed session; requests there that are late may have to sign in again",
				zap.String("provider", p.id), zap.Error(err))
		},
	}
}

// refreshTokens is the one call at the provider, and the checks of what it
// says.
func (h *Handler) refreshTokens(ctx context.Context, p *provider, l *sessionstore.Loaded, old session.Session) (refresh.Result, error) {
	if alive, err := h.sessions.Valid(ctx, l); err != nil {
		return refresh.Result{}, err
	} else if !alive {
		return refresh.Result{Ended: true}, nil
	}
	tokens, err := p.client.Refresh(ctx, old.Grant.RefreshToken)
	if err != nil {
		var failed *op.RefreshError
		if errors.As(err, &failed) && failed.Over {
			return h.endAtRefresh(ctx, p, l, err), nil
		}
		h.logger.Warn("the provider gave no new tokens; the session goes on for a while",
			append(providerWords(err), zap.String("provider", p.id), zap.Error(err))...)
		if failed != nil && !failed.Down {
			return refresh.Result{}, err
		}
		outage := &refresh.OutageError{Err: err}
		if failed != nil {
			outage.After = failed.RetryAfter
		}
		return refresh.Result{}, outage
	}
	tokens = h.checkTokenResponse(p, tokens)
	fresh := old
	fresh.Grant.RefreshToken, fresh.Grant.Issued = tokens.RefreshToken, h.now()
	if alive, err := h.sessions.Valid(ctx, l); err == nil && !alive { // a logout meanwhile has revoked the old ones alone
		fresh.AccessToken = tokens.AccessToken
		h.revoke(ctx, p, &fresh)
		return refresh.Result{Ended: true}, nil
	}
	var idToken op.Claims
	if tokens.IDToken != "" {
		idToken, err = p.client.VerifyRefreshed(ctx, tokens.IDToken, tokens.AccessToken, firstOf(&old))
		var unavailable *op.UnavailableError
		if errors.As(err, &unavailable) {
			// The old refresh token may be spent. Nothing else of an answer is
			// used that nobody can vouch for now; the next one will be.
			return refresh.Result{Session: &fresh}, &refresh.OutageError{Err: err, After: unavailable.RetryAfter}
		}
		if err != nil {
			return h.endAtRefresh(ctx, p, l, err), nil
		}
	}
	if tokens.NotBearer != nil && (old.AccessToken != "" || h.usesAccessToken(ctx, p, h.needs(p, old.Requested), idToken)) {
		return refresh.Result{Session: &fresh}, tokens.NotBearer
	}
	h.applyTokens(ctx, p, &fresh, tokens, idToken)
	return refresh.Result{Session: &fresh}, nil
}

// firstOf is what the session keeps of its first ID token.
func firstOf(s *session.Session) op.First {
	return op.First{Subject: s.Subject, Nonce: s.Grant.Nonce, Parties: s.Grant.Parties, AuthTime: s.Grant.AuthTime, Issued: s.IDTokenIssued}
}

// endAtRefresh ends a session for which the provider vouches no more: on all
// nodes, and for copies of its cookie.
func (h *Handler) endAtRefresh(ctx context.Context, p *provider, l *sessionstore.Loaded, cause error) refresh.Result {
	h.auditSession(ctx, auditEvent{event: eventSignedOut, message: "signed out", via: "refresh"}, p, &l.Session,
		append(providerWords(cause), zap.Error(cause))...)
	if err := h.sessions.Revoke(ctx, l); err != nil {
		h.logger.Warn("the end of a session could not be told to other instances", zap.Error(err))
	}
	return refresh.Result{Ended: true}
}
