package oidctest

import (
	"net/http"
	"strings"
)

// userinfo is the userinfo endpoint (OpenID Connect Core, section 5.3). The
// access token must be in the header or in the body, not in both, and not in
// the query (RFC 6750, section 2).
func (p *Provider) userinfo(req Request, lies *Faults) answer {
	if req.Query.Has("access_token") {
		p.violate("C00k", "the access token is in the query")
		return unauthorized("invalid_request")
	}
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	inHeader := strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "DPoP")
	if inBody := req.Form.Has("access_token"); inBody {
		if req.Header.Get("Authorization") != "" {
			p.violate("C00k", "the access token is in header and body")
			return unauthorized("invalid_request")
		}
		token = req.Form.Get("access_token")
	} else if !inHeader {
		p.violate("C00k", "no access token")
		return unauthorized("")
	}
	if p.conf.randomPaths && p.Hits(JWKS) == 0 {
		p.violate("C21", "userinfo is asked before the key set")
	}
	p.mu.Lock()
	bound := p.grants.bound[token]
	p.mu.Unlock()
	if isDPoP := strings.EqualFold(scheme, "DPoP"); isDPoP || bound != "" {
		if refusal := p.proveToken(req, lies, token, bound, isDPoP); refusal != nil {
			return *refusal
		}
	}
	p.mu.Lock()
	g := p.grants.access[token]
	if p.conf.unrecorded {
		delete(p.grants.access, token)
	}
	p.mu.Unlock()
	if g == nil {
		// Not a violation, since EndGrants may have been called.
		return unauthorized("invalid_token")
	}
	claims := p.User(g.user).released(g.scopes)
	claims["sub"] = g.subject
	if lies.UserInfo.Claims != nil {
		lies.UserInfo.Claims(claims)
	}
	if !lies.UserInfo.Signed {
		return document(http.StatusOK, claims)
	}
	claims["iss"], claims["aud"] = p.issuer, g.clientID
	a := page(http.StatusOK, "")
	a.header.Set("Content-Type", "application/jwt")
	a.body = []byte(p.Mint(claims, lies.UserInfo.JWT))
	return a
}

// unauthorized returns a response with status 401 (RFC 6750, section 3).
func unauthorized(code string) answer {
	a := page(http.StatusUnauthorized, "unauthorized")
	challenge := `Bearer realm="oidctest"`
	if code != "" {
		challenge += `, error="` + code + `"`
	}
	a.header.Set("WWW-Authenticate", challenge)
	return a
}
