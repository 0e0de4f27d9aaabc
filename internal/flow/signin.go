package flow

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// signIn makes a session of the response, after every check of it has passed. It
// also returns the ID token.
func (c *callbackFlow) signIn(ctx context.Context) (*session.Session, string, *Failure) {
	p, t := c.provider, &c.transaction
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
		err := c.response.Refused(t.Nonce, t.Verifier)
		if c.response.ErrorCode == "access_denied" {
			return refuse(errorcode.AccessDenied, err)
		}
		return refuse(errorcode.ProviderError, err)
	}
	tokens, err := p.Client.Exchange(ctx, c.response.Code, loginOf(t))
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	tokens = c.checkTokenResponse(p, tokens)
	idToken, err := p.Client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, t.Nonce, tokens.AccessToken, p.demandsIn(t))
	c.logSkippedKeys(p)
	if err != nil {
		return refuse(errorcode.Of(err), err)
	}
	needs := c.needsOf(p, t.Requested)
	if tokens.NotBearer != nil && usesAccessToken(ctx, p, needs, idToken) {
		return refuse(errorcode.TokenExchangeFailed, tokens.NotBearer)
	}
	info, lost, err := c.userinfo(ctx, p, needs, idToken, tokens.AccessToken)
	if err != nil {
		return refuse(errorcode.Of(err), ofSubject(err, idToken))
	}
	from := identity.Sources{IDToken: idToken, Userinfo: info}
	fresh, findings, err := p.Mapping.NewSession(needs, identity.SignIn{
		Transaction: t, Tokens: tokens, Sources: from,
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

// usesAccessToken reports whether a login needs its access token: for the
// application, or for userinfo.
func usesAccessToken(ctx context.Context, p *Provider, needs *identity.Needs, idToken op.Claims) bool {
	switch {
	case needs.AccessToken:
		return true
	case idToken == nil || p.Mapping.Userinfo == identity.UserinfoNever:
		return false
	case p.Mapping.Userinfo == identity.UserinfoAlways:
		return true
	case !p.Mapping.NeedsUserinfo(needs, idToken):
		return false
	}
	has, err := p.Client.HasUserinfo(ctx)
	return has || err != nil
}

// userinfo fetches userinfo if the configuration wants it. lost reports that the
// endpoint did not answer and that the user's name does not depend on it: what
// only headers and placeholders need is empty then. An answer about another user
// is always an error.
func (in *Instance) userinfo(ctx context.Context, p *Provider, needs *identity.Needs, idToken op.Claims, accessToken string) (info op.Claims, lost bool, err error) {
	policy := p.Mapping.Userinfo
	if policy == identity.UserinfoNever || policy == identity.UserinfoAuto && !p.Mapping.NeedsUserinfo(needs, idToken) {
		return nil, false, nil
	}
	if policy == identity.UserinfoAuto {
		if has, err := p.Client.HasUserinfo(ctx); err != nil || !has {
			return nil, false, err
		}
	}
	var subject string
	if err := json.Unmarshal(idToken["sub"], &subject); err != nil {
		return nil, false, err
	}
	info, err = p.fetchUserinfo(ctx, accessToken, subject)
	if op.IsUserinfoLost(err) && p.Mapping.IsNamedBy(idToken) {
		in.warnOnce(p, "userinfo", "", "userinfo failed; sign-ins go on without the claims that only it has. If the provider's userinfo endpoint is of no use, switch it off with userinfo never",
			append(providerWords(err), errAttr(err))...)
		return nil, true, nil
	}
	return info, false, err
}

// fetchUserinfo fetches the claims of a subject.
func (p *Provider) fetchUserinfo(ctx context.Context, accessToken, subject string) (op.Claims, error) {
	info, err := p.Client.Userinfo(ctx, accessToken, subject)
	identity.DropSignInClaims(info)
	return info, err
}
