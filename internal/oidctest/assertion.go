package oidctest

import (
	"encoding/json"
	"net/url"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// checkAssertion checks a client assertion (RFC 7523, section 3). It is
// stricter about the audience, which must be the issuer, as a string and not as
// a list. It returns what is wrong, or "".
func (p *Provider) checkAssertion(c Client, form url.Values) string {
	if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return "wrong client_assertion_type"
	}
	key, algs := c.Key, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
	if c.Auth == "client_secret_jwt" {
		key, algs = []byte(c.Secret), []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	}
	jws, err := jose.ParseSignedCompact(form.Get("client_assertion"), algs)
	if err != nil {
		return "client_assertion is no JWS: " + err.Error()
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return "client_assertion: the signature is wrong"
	}
	if c.Workload != "" {
		return p.checkWorkload(c, payload, form.Get("client_assertion"))
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"` // a list is an error, intentionally
		ID       string `json:"jti"`
		Expiry   int64  `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "client_assertion: " + err.Error()
	}
	left := claims.Expiry - p.Now().Unix()
	switch {
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return "client_assertion: iss and sub are not the client_id"
	case claims.Audience != p.issuer:
		return "client_assertion: aud is not the issuer"
	case claims.ID == "" || !p.fresh("jti", claims.ID, ""):
		return "client_assertion: jti is missing or came before"
	case left <= 0 || left > 61: // one second for rounding
		return "client_assertion: exp is past or more than 60 s ahead"
	}
	p.secret(form.Get("client_assertion"))
	return ""
}

// checkWorkload checks the claims of an assertion that a platform issued. It
// returns what is wrong, or "".
func (p *Provider) checkWorkload(c Client, payload []byte, assertion string) string {
	var claims jwt.Claims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "client_assertion: " + err.Error()
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Subject: c.Workload, AnyAudience: jwt.Audience{p.issuer}, Time: p.Now()}, 0); err != nil {
		return "client_assertion: " + err.Error()
	}
	p.secret(assertion)
	return ""
}
