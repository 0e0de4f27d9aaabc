package oidctest

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// responseLife is the time from iat to exp of a signed response.
const responseLife = 10 * time.Minute

// responseModes returns the supported response modes.
func (p *Provider) responseModes() []string {
	modes := []string{"query", "form_post"}
	if p.conf.signedResponses {
		modes = append(modes, "jwt", "query.jwt", "form_post.jwt")
	}
	return modes
}

// respond sends the parameters out to the redirect URI in the response mode that the
// request asks for.
func (p *Provider) respond(q, out url.Values, lies *AuthorizationLies) answer {
	mode := q.Get("response_mode")
	if p.conf.signedResponses && slices.Contains([]string{"jwt", "query.jwt", "form_post.jwt"}, mode) {
		plain := out
		out = url.Values{"response": {p.signedResponse(plain, lies.JWT)}}
		if lies.Beside != nil {
			lies.Beside(out, plain)
		}
	}
	if strings.HasPrefix(mode, "form_post") {
		return formPost(q.Get("redirect_uri"), out)
	}
	query := out.Encode()
	if lies.Query != nil {
		query = lies.Query(query)
	}
	return redirect(q.Get("redirect_uri"), query)
}

// signedResponse returns a signed response: a JWT of the parameters with iss, aud and
// exp (JARM, section 2.1). It is encrypted if the client has a ResponseKey.
func (p *Provider) signedResponse(out url.Values, lies JWTLies) string {
	now := p.Now()
	claims := map[string]any{"iss": p.issuer, "aud": p.Client().ID, "iat": now.Unix(), "exp": now.Add(responseLife).Unix()}
	for name := range out {
		claims[name] = out.Get(name)
	}
	token := p.Mint(claims, lies)
	p.secret(token)
	key := p.Client().ResponseKey
	if key == nil {
		return token
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES_A256KW, Key: key}, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	if err != nil {
		p.t.Errorf("oidctest: the client's key for responses: %v", err)
		return token
	}
	jwe, err := encrypter.Encrypt([]byte(token))
	if err != nil {
		p.t.Errorf("oidctest: encrypt the response: %v", err)
		return token
	}
	text, err := jwe.CompactSerialize()
	if err != nil {
		p.t.Errorf("oidctest: write the response: %v", err)
	}
	p.secret(text)
	return text
}
