package oidctest

import (
	"crypto/sha256"
	"mime"
	"net/http"
	"strings"
	"time"
)

// accessTokenLife is sent as expires_in, but not enforced.
const accessTokenLife = 10 * time.Minute

// token is the token endpoint (OpenID Connect Core, sections 3.1.3 and 12).
func (p *Provider) token(req Request, lies *Faults) answer {
	for name := range req.Query {
		p.violate("C00i", "%s is in the query of the token request", name)
	}
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		p.violate("C00i", "the token request is %q and no form", kind)
		return refuse(http.StatusBadRequest, "invalid_request", "no form")
	}
	if refusal := p.authenticate(req); refusal != nil {
		return *refusal
	}
	jkt, refusal := p.prove(req, lies, "")
	if refusal != nil {
		return *refusal
	}
	switch grantType := req.Form.Get("grant_type"); grantType {
	case "authorization_code":
		return p.tradeCode(req, lies, jkt)
	case "refresh_token":
		return p.refresh(req, lies, jkt)
	default:
		p.violate("C00i", "grant_type is %q", grantType)
		return refuse(http.StatusBadRequest, "unsupported_grant_type", "")
	}
}

// tradeCode redeems a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6).
func (p *Provider) tradeCode(req Request, lies *Faults, jkt string) answer {
	form := req.Form
	invalid := func(row, problem string) answer {
		p.violate(row, "token request: %s", problem)
		return refuse(http.StatusBadRequest, "invalid_grant", problem)
	}
	g, first := p.spendCode(form.Get("code"))
	switch {
	case g == nil:
		return invalid("C00i", "unknown code")
	case !first:
		return invalid("X06", "the code was used before")
	case p.conf.now().After(g.codeDies):
		// Not a violation: users are slow, and tests may do it on purpose.
		return refuse(http.StatusBadRequest, "invalid_grant", "the code has expired")
	case form.Get("redirect_uri") != g.redirectURI:
		return invalid("C00i", "redirect_uri is not that of the authorization request")
	}
	if problem := p.checkVerifier(form.Get("code_verifier"), form.Has("code_verifier"), g); problem != "" {
		return invalid("C00g", problem)
	}
	// If a page is reloaded, there may be two authorization requests with the
	// same state, but only one of the two codes may be redeemed.
	if !p.fresh("redeemed state", g.state, "") && g.state != "" {
		p.violate("S03", "state was redeemed before")
	}
	if !p.fresh("redeemed nonce", g.nonce, "") && g.nonce != "" {
		p.violate("S03", "nonce was redeemed before")
	}
	if problem := p.bind(g, jkt); problem != "" {
		return invalid("DP", problem)
	}
	return p.tokens(g, lies, &lies.IDToken, jkt)
}

// checkVerifier checks the PKCE code verifier (RFC 7636). It returns why the
// request must be refused, or "".
func (p *Provider) checkVerifier(verifier string, sent bool, g *grant) string {
	if g.challenge == "" {
		if sent {
			return "code_verifier without code_challenge" // RFC 9700, section 4.8.2
		}
		return ""
	}
	p.secret(verifier)
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case !sent:
		return "no code_verifier"
	case b64(sum[:]) != g.challenge:
		return "code_verifier does not hash to code_challenge"
	case len(verifier) < 43 || len(verifier) > 128 || !unreserved(verifier):
		return "code_verifier is not 43 to 128 unreserved characters"
	}
	if !p.fresh("verifier", verifier, "") {
		p.violate("C00g", "code_verifier was used before")
	}
	return ""
}

// refresh handles a refresh request (RFC 6749, section 6). Refresh tokens are
// rotated, and used ones are refused (RFC 9700, section 4.14.2).
func (p *Provider) refresh(req Request, lies *Faults, jkt string) answer {
	old := req.Form.Get("refresh_token")
	p.mu.Lock()
	g, again := p.grants.refresh[old], p.grants.spentRefresh[old]
	p.mu.Unlock()
	if again {
		p.violate("C40", "a refresh token was used twice")
	}
	if g == nil {
		return refuse(http.StatusBadRequest, "invalid_grant", "the refresh token is not valid")
	}
	for _, scope := range strings.Fields(req.Form.Get("scope")) {
		if !g.has(scope) {
			p.violate("C40", "the refresh asks for the scope %q, which was not granted", scope)
			return refuse(http.StatusBadRequest, "invalid_scope", "")
		}
	}
	if problem := p.bind(g, jkt); problem != "" {
		p.violate("DP", "the refresh: %s", problem)
		return refuse(http.StatusBadRequest, "invalid_grant", problem)
	}
	if !p.spendRefresh(old) {
		p.violate("C40", "a refresh token was used twice at the same time")
		return refuse(http.StatusBadRequest, "invalid_grant", "the refresh token is not valid")
	}
	return p.tokens(g, lies, &lies.Refreshed, jkt)
}

// tokens returns a token response (OpenID Connect Core, section 3.1.3.3).
func (p *Provider) tokens(g *grant, lies *Faults, idToken *JWTLies, jkt string) answer {
	tokenType := "Bearer"
	switch {
	case lies.DPoP.Bearer:
		p.mu.Lock()
		g.jkt, jkt = "", ""
		p.mu.Unlock()
	case lies.DPoP.BearerAccess:
		jkt = ""
	case jkt != "":
		tokenType = "DPoP"
	}
	if lies.Keys.RotateBeforeSigning {
		p.RotateKeys()
	}
	access := p.accessToken(g, jkt)
	id := p.Mint(p.claims(g, access, lies.Skew), *idToken)
	response := map[string]any{
		"access_token": access,
		"token_type":   tokenType,
		"expires_in":   int(accessTokenLife.Seconds()),
		"scope":        strings.Join(g.scopes, " "),
		"id_token":     id,
	}
	if p.conf.refreshTokens || g.has("offline_access") {
		response["refresh_token"] = p.refreshToken(g)
	}
	p.issued(g, id)
	if lies.Token != nil {
		lies.Token(response)
	}
	return document(http.StatusOK, response)
}

// issued records an ID token, since it may be used as id_token_hint.
func (p *Provider) issued(g *grant, idToken string) {
	p.secret(idToken)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants.latest.IDToken = idToken
	p.grants.latest.SID, p.grants.latest.Subject = g.sid, g.subject
	if !p.conf.unrecorded {
		p.grants.idTokens[idToken] = true
	}
}

// claims returns the claims of an honest ID token (OpenID Connect Core, section
// 2).
func (p *Provider) claims(g *grant, access string, skew time.Duration) map[string]any {
	now := p.conf.now().Add(skew)
	claims := map[string]any{
		"iss": p.issuer, "sub": g.subject, "aud": g.clientID,
		"iat": now.Unix(), "exp": now.Add(p.conf.idTokenLife).Unix(),
		"auth_time": g.authTime.Add(skew).Unix(),
		"sid":       g.sid,
		"amr":       []string{"pwd"},
		"at_hash":   accessHash(p.conf.alg, access),
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if g.acr != "" {
		claims["acr"] = g.acr
	}
	if p.conf.claimsInIDToken {
		for name, value := range p.User(g.user).released(g.scopes) {
			claims[name] = value
		}
	}
	return claims
}

// accessHash returns the at_hash of an access token (OpenID Connect Core,
// section 3.1.3.6).
func accessHash(alg, access string) string {
	sum := digest(hashOf(alg), []byte(access))
	return b64(sum[:len(sum)/2])
}

// IssuedIDToken reports whether this provider issued the ID token.
func (p *Provider) IssuedIDToken(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return token != "" && (p.grants.idTokens[token] || token == p.grants.latest.IDToken)
}
