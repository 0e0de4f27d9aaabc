package oidcrp

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// answer is an authorization response (Core 3.1.2.5, RFC 9207).
type answer struct {
	state, code, errorCode string
	issuer                 string
	hasIssuer              bool
}

// parseAnswer reads the parameters that mean something to us. Each is there at
// most once; others are ignored (Core 3.1.2.7).
func parseAnswer(query string) (a answer, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return a, errors.New("the query cannot be read")
	}
	for name, field := range map[string]*string{"state": &a.state, "code": &a.code, "error": &a.errorCode, "iss": &a.issuer} {
		if len(values[name]) > 1 {
			return a, fmt.Errorf("the parameter %s is there more than once", name)
		}
		*field = values.Get(name)
	}
	a.hasIssuer = values.Has("iss")
	switch {
	case a.state == "":
		return a, errors.New("the parameter state is missing")
	case a.code == "" && a.errorCode == "":
		return a, errors.New("the parameter code is missing")
	case a.code != "" && a.errorCode != "":
		return a, errors.New("the parameters code and error exclude each other")
	}
	return a, nil
}

// serveCode is the redirect URI: it checks everything, and only then makes a
// session.
func (h *Handler) serveCode(w http.ResponseWriter, r *http.Request, v *visit, p *party) error {
	s := h.site(r)
	a, err := parseAnswer(originalURL(r).RawQuery)
	if err != nil {
		return h.fail(w, r, v, &failure{badRequest, err, p, ""})
	}
	if _, err := h.identify(w, r, v); err != nil {
		return h.unavailable(w, r, v, err)
	}
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return h.unavailable(w, r, v, err)
	}
	t, f := h.takeTransaction(w, v, s, p, ring, a.state)
	if f != nil {
		if v.signedIn() {
			// A second use of an answer, the Back button, a login that was
			// overtaken by another: who is signed in gets the page.
			return redirect(w, http.StatusSeeOther, h.pageOf(v, a.state))
		}
		return h.fail(w, r, v, f)
	}
	fresh, idToken, f := h.signIn(r.Context(), p, &t, a)
	if f != nil {
		return h.fail(w, r, v, f)
	}
	if f := h.keepSession(w, r, v, s, ring, p, fresh, idToken); f != nil {
		return h.fail(w, r, v, f)
	}
	return redirect(w, http.StatusSeeOther, orElse(t.Return, h.Home))
}

// pageOf is where a login led that a signed-in user comes back to, if it was
// the one that made the session.
func (h *Handler) pageOf(v *visit, state string) string {
	if v.session.Login == session.HashState(state) {
		return orElse(v.session.Return, h.Home)
	}
	return h.Home
}

// takeTransaction finds the login that an answer belongs to, by its state, and
// ends it: an answer counts once.
func (h *Handler) takeTransaction(w http.ResponseWriter, v *visit, s *site, p *party, ring *seal.Ring, state string) (session.Transaction, *failure) {
	name := s.txPrefix + session.HashState(state).CookieSuffix()
	var none session.Transaction
	any := false
	for _, c := range cookie.WithPrefix(v.cookies, s.txPrefix, seenTransactions) {
		t, ok := h.openTransaction(ring, s, c.Value)
		any = any || ok && !t.Over(h.now())
		if c.Name != name || !ok || subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 {
			continue
		}
		if t.Provider != p.id || t.Binding != p.binding {
			// An answer at another provider's address: a mix-up (RFC 9700 4.4).
			return none, &failure{stateMismatch, errors.New("the login was begun with another provider, or another client id"), p, t.Return}
		}
		h.expire(w, s, name)
		if t.Over(h.now()) {
			return none, &failure{loginExpired, errors.New("the login was begun more than 15 minutes ago"), p, t.Return}
		}
		return t, nil
	}
	if any {
		return none, &failure{stateMismatch, errors.New("no login in flight has this state"), p, ""}
	}
	return none, &failure{loginExpired, errors.New("no login is in flight in this browser: it is over, or was begun elsewhere, or the browser keeps no cookies"), p, ""}
}

// signIn makes a session of an answer, after every check of it has passed.
func (h *Handler) signIn(ctx context.Context, p *party, t *session.Transaction, a answer) (*session.Session, string, *failure) {
	refuse := func(c code, err error) (*session.Session, string, *failure) {
		return nil, "", &failure{c, err, p, t.Return}
	}
	metadata, err := p.client.Remote.Metadata(ctx)
	if err != nil {
		return refuse(codeOf(err), err)
	}
	if err := checkIssuerOf(a, metadata); err != nil {
		return refuse(stateMismatch, err)
	}
	if a.errorCode != "" {
		err := fmt.Errorf("the provider answered %q", provider.SafeCode(a.errorCode))
		if a.errorCode == "access_denied" {
			return refuse(accessDenied, err)
		}
		return refuse(providerError, err)
	}
	tokens, err := p.client.Exchange(ctx, a.code, loginOf(t))
	if err != nil {
		return refuse(codeOf(err), err)
	}
	idToken, err := p.client.VerifyIDToken(context.WithoutCancel(ctx), tokens.IDToken, t.Nonce, tokens.AccessToken)
	if err != nil {
		return refuse(codeOf(err), err)
	}
	info, err := h.userinfo(ctx, p, idToken, tokens.AccessToken)
	if err != nil {
		return refuse(codeOf(err), err)
	}
	fresh, err := h.newSession(p, t, tokens, idToken, info)
	if err != nil {
		return refuse(tokenInvalid, err)
	}
	return fresh, tokens.IDToken, nil
}

// checkIssuerOf holds an answer to RFC 9207: iss is who we asked, and is there
// where the provider promises it, in errors, too.
func checkIssuerOf(a answer, metadata *provider.Metadata) error {
	switch {
	case a.hasIssuer && a.issuer != metadata.Issuer:
		return errors.New("the parameter iss is not the provider's issuer")
	case !a.hasIssuer && metadata.IssParameter:
		return errors.New("the parameter iss is missing, which the provider promises")
	}
	return nil
}

// userinfo asks the userinfo endpoint where the configuration wants it.
func (h *Handler) userinfo(ctx context.Context, p *party, idToken provider.Claims, accessToken string) (provider.Claims, error) {
	if p.userinfo == "never" || p.userinfo == "auto" && !h.lacks(p, idToken) {
		return nil, nil
	}
	if p.userinfo == "auto" {
		if has, err := p.client.HasUserinfo(ctx); err != nil || !has {
			return nil, err
		}
	}
	var subject string
	if err := json.Unmarshal(idToken["sub"], &subject); err != nil {
		return nil, err
	}
	return p.client.Userinfo(ctx, accessToken, subject)
}

// lacks says whether a claim that the configuration names is not in the ID
// token. Of the names for the user the first one that is there will do, but an
// earlier one may be in userinfo.
func (h *Handler) lacks(p *party, idToken provider.Claims) bool {
	has := func(path string) bool { return present(idToken, path) }
	if first := p.usernames[0]; !has(first) || first == "email" && !verified(idToken) {
		return true
	}
	for _, path := range p.config.Claims {
		if !has(path) {
			return true
		}
	}
	return p.config.GroupsClaim != "" && !has(p.groups) ||
		slices.ContainsFunc(h.neededClaims, func(path string) bool {
			if path == "groups" {
				path = p.groups
			}
			_, local := p.config.Claims[path]
			return !local && !has(path)
		})
}

func present(members provider.Claims, path string) bool {
	set, err := claims.Encode(claimsAlong(members, path))
	if err != nil {
		return false
	}
	_, ok := set.Path(path)
	return ok
}

// claimsAlong are the claims that a path can begin with.
func claimsAlong(members provider.Claims, path string) map[string]json.RawMessage {
	along := make(map[string]json.RawMessage, 2)
	for _, name := range []string{path, claims.SplitPath(path)[0]} {
		if raw, ok := members[name]; ok {
			along[name] = raw
		}
	}
	return along
}

// newSession takes from the claims what is to be kept.
func (h *Handler) newSession(p *party, t *session.Transaction, tokens provider.Tokens, idToken, info provider.Claims) (*session.Session, error) {
	now := h.now()
	fresh := &session.Session{
		ID: session.NewID(), Binding: p.binding, Provider: p.id,
		SignedIn: now, Seen: now, Expires: now.Add(time.Duration(h.session.Lifetime)),
		Login: session.HashState(t.State), Return: shortReturn(t.Return),
	}
	var err error
	text := func(name string) (value string) {
		if raw, ok := idToken[name]; ok && err == nil && string(raw) != "null" {
			err = json.Unmarshal(raw, &value)
		}
		return value
	}
	fresh.Subject, fresh.SID = text("sub"), text("sid")
	if err != nil {
		return nil, fmt.Errorf("sid is not a string: %w", err)
	}
	if fresh.Username, err = username(p.usernames, idToken, info); err != nil {
		return nil, err
	}
	if fresh.Claims, err = h.keepClaims(p, idToken, info); err != nil {
		return nil, err
	}
	if h.Upstream != nil && h.Upstream.AccessToken != "" {
		fresh.AccessToken, fresh.AccessTokenExpires = tokens.AccessToken, tokens.Expires
	}
	if h.Upstream != nil && h.Upstream.IDToken != "" {
		fresh.IDToken = tokens.IDToken
	}
	return fresh, nil
}

// shortReturn keeps a return address in the session only if it is short: the
// browser sends it with every request.
func shortReturn(location string) string {
	if len(location) > 200 {
		return ""
	}
	return location
}

// username finds the user's name: claim by claim, in the ID token, then in
// userinfo, and only then the next. An e-mail address counts only if the same
// source says that it is the user's.
func username(names []string, idToken, info provider.Claims) (string, error) {
	for _, path := range names {
		for _, source := range []provider.Claims{idToken, info} {
			set, err := claims.Encode(claimsAlong(source, path))
			if err != nil {
				return "", err
			}
			value, ok := set.Path(path)
			if !ok || path == "email" && !verified(source) {
				continue
			}
			if name := value.Plain(); name != "" {
				return name, nil
			}
		}
	}
	return "", errors.New("no claim names the user; see username_claim")
}

func verified(source provider.Claims) bool {
	value, err := claims.FromJSON(source["email_verified"])
	return err == nil && value.True()
}
