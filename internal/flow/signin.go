package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// signIn redeems the authorization response and creates a session. It also returns
// the ID token.
func (c *callbackFlow) signIn(ctx context.Context) (*session.Session, string, *Failure) {
	p, t := c.provider, &c.transaction
	demands := p.demandsIn(t)
	refuse := func(code errorcode.Code, err error) (*session.Session, string, *Failure) {
		return nil, "", c.refuse(code, err)
	}
	metadata, err := p.Client.Discovery.Metadata(ctx)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	if err := c.response.CheckIssuer(metadata); err != nil {
		return refuse(errorcode.StateMismatch, c.response.Describe(err))
	}
	if c.response.ErrorCode != "" {
		p.Client.NoteRefusedRequest(ctx, c.response.ErrorCode)
		err := c.response.Refused(t.Nonce, t.Verifier)
		switch {
		case c.response.ErrorCode == "access_denied":
			return refuse(errorcode.AccessDenied, err)
		case c.response.ErrorCode == unmetAuthentication && !demands.Proof.IsZero():
			return refuse(errorcode.Forbidden, fmt.Errorf("%w: %w", errorcode.ErrUnproved, err))
		}
		return refuse(errorcode.ProviderError, err)
	}
	login, err := loginOf(t)
	if err != nil {
		return refuse(errorcode.LoginExpired, err) // written by another release
	}
	tokens, err := p.Client.Exchange(ctx, c.response.Code, login)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	tokens = c.checkTokenResponse(p, tokens)
	idToken, err := p.Client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, t.Nonce, tokens.AccessToken, demands)
	c.logSkippedKeys(p)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	if err := c.checkProof(&demands, idToken); err != nil {
		return refuse(errorcode.Forbidden, ofSubject(err, idToken))
	}
	needs := c.NeedsOf(p, t.Requested)
	if tokens.NotBearer != nil && usesAccessToken(ctx, p, needs, idToken) {
		return refuse(errorcode.TokenExchangeFailed, tokens.NotBearer)
	}
	info, lost, err := c.userinfo(ctx, p, needs, idToken, tokens.Access())
	if err != nil {
		return refuse(errorcode.Of(err), ofSubject(err, idToken))
	}
	from := identity.Sources{IDToken: idToken, Userinfo: info, Lost: lost}
	fresh, findings, err := p.Mapping.NewSession(needs, identity.SignIn{
		Transaction: t, Tokens: tokens, Sources: from, Scopes: append([]string{"openid"}, p.Client.Scopes...),
		AuthTime: demands.AuthTime(time.Time{}), Asked: markOf(&demands, t.Demands),
		Binding: p.Binding, Now: c.Now(), Lifetime: c.Lifetime,
	})
	c.logFindings(p, findings)
	if errors.Is(err, identity.ErrNoUsername) {
		return refuse(errorcode.UserUnknown, ofSubject(err, idToken))
	}
	if err != nil {
		return refuse(errorcode.TokenInvalid, ofSubject(err, idToken))
	}
	if !lost {
		c.logFindings(p, p.Mapping.Missing(needs, p.Client.Scopes, tokens, from))
	}
	return fresh, tokens.IDToken, nil
}
