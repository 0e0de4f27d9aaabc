package flow

import (
	"context"
	"encoding/json"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// usesAccessToken reports whether a login needs its access token, for the
// application or for userinfo.
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
// endpoint failed but the user's name does not depend on it, so that the login goes
// on without claims that only userinfo has. A response about another user is always
// an error.
func (in *Instance) userinfo(ctx context.Context, p *Provider, needs *identity.Needs, idToken op.Claims, access op.Access) (info op.Claims, lost bool, err error) {
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
	info, err = p.fetchUserinfo(ctx, access, subject)
	if op.IsUserinfoLost(err) && p.Mapping.IsNamedBy(idToken) {
		in.warnOnce(p, "userinfo", "", "userinfo_failed", "userinfo failed; sign-ins go on without the claims that only it has. If the provider's userinfo endpoint is of no use, switch it off with userinfo never",
			append(providerWords(err), errAttr(err))...)
		return nil, true, nil
	}
	return info, false, err
}

// fetchUserinfo fetches the userinfo of a subject, without claims that belong to a
// login.
func (p *Provider) fetchUserinfo(ctx context.Context, access op.Access, subject string) (op.Claims, error) {
	info, err := p.Client.Userinfo(ctx, access, subject)
	identity.DropSignInClaims(info)
	return info, err
}
