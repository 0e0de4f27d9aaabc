package oidctest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// requestObjectLife is the maximum time until a request object's exp.
const requestObjectLife = 10 * time.Minute

// unpacked returns the parameters in a request object, and records violations (RFC
// 9101; OpenID Connect Core, section 6). It returns the parameters of a request without
// one unchanged, unless request objects are required. stop is the reason to refuse the
// request, or "".
func (p *Provider) unpacked(q url.Values, raw string) (meant url.Values, stop string) {
	if !p.conf.requestObjects {
		return q, "" // checkAuthorization refuses request objects
	}
	halt := func(problem string) (url.Values, string) {
		p.violate("JAR", "request object: %s", problem)
		return q, problem
	}
	if !q.Has("request") {
		if p.conf.requireRequestObjects {
			return halt("there is none")
		}
		return q, ""
	}
	outside := []string{"client_id", "request", "response_type", "scope"}
	if p.conf.pushed {
		outside = outside[:2]
	}
	if names := sortedNames(q); !slices.Equal(names, outside) {
		p.violate("JAR", "beside the request object are %q, and not %q", names, outside)
	}
	header, payload, problem := p.openRequestObject(q.Get("request"))
	if problem != "" {
		return halt(problem)
	}
	if typ := header.ExtraHeaders[jose.HeaderType]; typ != "oauth-authz-req+jwt" {
		p.violate("JAR", "request object: typ is %v", typ)
	}
	var members map[string]any
	if err := json.Unmarshal(payload, &members); err != nil {
		return halt(err.Error())
	}
	if problem := p.checkRequestClaims(members, raw); problem != "" {
		return halt(problem)
	}
	meant = p.requestParameters(members)
	for _, name := range outside {
		if name != "request" && meant.Get(name) != q.Get(name) {
			p.violate("JAR", "%s is %q outside and %q inside of the request object", name, q.Get(name), meant.Get(name))
		}
	}
	return meant, ""
}

// openRequestObject decrypts a request object if it is encrypted, and verifies its
// signature with the registered key.
func (p *Provider) openRequestObject(object string) (header jose.Header, payload []byte, problem string) {
	encrypted := strings.Count(object, ".") == 4
	if p.conf.encryptedRequestObjects && !encrypted {
		return header, nil, "it is not encrypted"
	}
	if encrypted {
		jwe, err := jose.ParseEncryptedCompact(object, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A256GCM})
		if err != nil {
			return header, nil, err.Error()
		}
		plain, err := jwe.Decrypt(privateKey("P-256", encKey))
		switch {
		case err != nil:
			return header, nil, err.Error()
		case jwe.Header.KeyID != "enc-p-256" || jwe.Header.ExtraHeaders[jose.HeaderContentType] != "JWT":
			p.violate("JAR", "the header of the encrypted request object: kid is %q, cty %v", jwe.Header.KeyID, jwe.Header.ExtraHeaders[jose.HeaderContentType])
		}
		object = string(plain)
	}
	c := p.Client()
	key, algs := c.RequestKey, []jose.SignatureAlgorithm{jose.PS256, jose.ES256, jose.EdDSA}
	if key == nil {
		key = c.Key
	}
	if key == nil {
		key, algs = []byte(c.Secret), []jose.SignatureAlgorithm{jose.HS256}
	}
	jws, err := jose.ParseSignedCompact(object, algs)
	if err != nil {
		return header, nil, err.Error()
	}
	if payload, err = jws.Verify(key); err != nil {
		return header, nil, "the signature is wrong"
	}
	return jws.Signatures[0].Protected, payload, ""
}

// checkRequestClaims checks the members of a request object and its validity period (RFC
// 9101, sections 4 and 10.8). It returns why the request must be refused, or "".
func (p *Provider) checkRequestClaims(members map[string]any, raw string) (problem string) {
	id, now := p.Client().ID, float64(p.Now().Unix())
	expiry, _ := members["exp"].(float64)
	begin, _ := members["nbf"].(float64)
	issued, _ := members["iat"].(float64)
	jti, _ := members["jti"].(string)
	switch {
	case members["iss"] != id || members["client_id"] != id:
		return "iss and client_id are not the client"
	case members["aud"] != p.issuer:
		return "aud is not the issuer"
	case expiry <= now || expiry > now+requestObjectLife.Seconds():
		return "exp is past or too far ahead"
	case begin == 0 || begin > now+1 || issued == 0 || issued > now+1:
		return "nbf or iat is missing, or in the future"
	case len(jti) < 22 || !p.fresh("request jti", jti, raw):
		return "jti is missing, short, or came before"
	}
	for _, name := range []string{"request", "request_uri", "sub", "client_secret", "client_assertion"} {
		if _, there := members[name]; there {
			p.violate("JAR", "request object: %s is in it", name)
		}
	}
	if claims, there := members["claims"]; there {
		if _, isObject := claims.(map[string]any); !isObject {
			p.violate("JAR", "request object: claims is no JSON object")
		}
	}
	if age, there := members["max_age"]; there {
		if _, isNumber := age.(float64); !isNumber {
			p.violate("JAR", "request object: max_age is no number")
		}
	}
	return ""
}

// requestParameters converts the members of a request object to parameters of
// an authorization request.
func (p *Provider) requestParameters(members map[string]any) url.Values {
	meant := url.Values{}
	for name, value := range members {
		if slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat", "jti"}, name) {
			continue
		}
		switch v := value.(type) {
		case string:
			meant.Set(name, v)
		case []any:
			for _, member := range v {
				text, isText := member.(string)
				if !isText {
					p.violate("JAR", "request object: %s is a list of something else than texts", name)
				}
				meant.Add(name, text)
			}
		default:
			text, _ := json.Marshal(v)
			meant.Set(name, string(text))
		}
	}
	return meant
}
