package oidcrp

import (
	"context"
	"encoding/json"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// idTokenOnly are claims about the sign-in: userinfo cannot say them.
var idTokenOnly = []string{"acr", "acrs", "amr", "auth_time", "tid"}

// userinfo asks the userinfo endpoint where the configuration wants it. lost
// says that it did not answer, and that the user's name does not depend on it:
// what only headers and placeholders want is empty then. An answer about another
// user is always an error.
func (h *Handler) userinfo(ctx context.Context, p *provider, w *needs, idToken op.Claims, accessToken string) (info op.Claims, lost bool, err error) {
	if p.userinfo == "never" || p.userinfo == "auto" && !p.needsUserinfo(w, idToken) {
		return nil, false, nil
	}
	if p.userinfo == "auto" {
		if has, err := p.client.HasUserinfo(ctx); err != nil || !has {
			return nil, false, err
		}
	}
	var subject string
	if err := json.Unmarshal(idToken["sub"], &subject); err != nil {
		return nil, false, err
	}
	info, err = p.askUserinfo(ctx, accessToken, subject)
	if op.IsUserinfoLost(err) && isNamedBy(p.usernames, idToken) {
		h.warnOnce(p, "userinfo", "", "userinfo failed; sign-ins go on without the claims that only it has. If the provider's userinfo endpoint is of no use, switch it off with userinfo never",
			append(providerWords(err), zap.Error(err))...)
		return nil, true, nil
	}
	return info, false, err
}

// askUserinfo asks for the claims of a subject.
func (p *provider) askUserinfo(ctx context.Context, accessToken, subject string) (op.Claims, error) {
	info, err := p.client.Userinfo(ctx, accessToken, subject)
	for _, name := range idTokenOnly {
		delete(info, name)
	}
	return info, err
}

// needsUserinfo reports whether a claim that is named is not in the ID token. Of
// the names for the user the first one that is there will do, but an earlier one
// may be in userinfo.
func (p *provider) needsUserinfo(w *needs, idToken op.Claims) bool {
	lacks := func(path string) bool { return !present(idToken, path) }
	if !isNamedBy(p.usernames, idToken) {
		return true
	}
	for _, path := range p.claims {
		if lacks(bareClaim(path)) {
			return true
		}
	}
	lacksGroups := !presentEach(idToken, p.groups)
	if p.namesGroups && lacksGroups {
		return true
	}
	for _, path := range w.claims {
		if path == "groups" || path == p.groups {
			if lacksGroups {
				return true
			}
			continue
		}
		if _, local := p.claims[path]; !local && lacks(path) {
			return true
		}
	}
	return w.lacksMore(idToken)
}

func present(members op.Claims, path string) bool {
	set, err := claims.Encode(claimsForPath(members, path))
	if err != nil {
		return false
	}
	_, ok := set.Path(path)
	return ok
}

// presentEach is present for a path that may lead through lists.
func presentEach(members op.Claims, path string) bool {
	set, err := claims.Encode(claimsForPath(members, path))
	if err != nil {
		return false
	}
	_, ok := set.PathEach(path)
	return ok
}

// claimsForPath are the claims that a path can begin with.
func claimsForPath(members op.Claims, path string) map[string]json.RawMessage {
	along := make(map[string]json.RawMessage, 2)
	for _, name := range []string{path, claims.SplitPath(path)[0]} {
		if raw, ok := members[name]; ok {
			along[name] = raw
		}
	}
	return along
}
