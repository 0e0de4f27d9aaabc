package oidctest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// jwks is the key set endpoint.
func (p *Provider) jwks(lies *Faults) answer {
	a := document(http.StatusOK, map[string]any{"keys": p.keys(lies)})
	a.header.Set("Content-Type", "application/jwk-set+json")
	a.header.Del("Cache-Control")
	return a
}

// KeySet is the document at jwks_uri, for tests that need no HTTP.
func (p *Provider) KeySet() []byte {
	lies := p.Lies()
	doc, err := json.Marshal(map[string]any{"keys": p.keys(&lies)})
	if err != nil {
		p.t.Errorf("oidctest: key set: %v", err)
	}
	return doc
}

// keys are the published ones. The set is the OpenID Foundation's by default:
// the signing key among an EC, an Ed25519, a secp256k1 key without alg, and
// two for encryption. Who gives up on the one it cannot read signs in no user.
func (p *Provider) keys(lies *Faults) []any {
	p.mu.Lock()
	signs, shown := p.signing, slices.Clone(p.shown)
	p.mu.Unlock()

	own := familyOf(p.conf.alg)
	var signing map[string]any
	others := []any{secp256k1(), encryptionJWK("RSA", "RSA-OAEP")}
	for _, g := range shown {
		for _, family := range families(own) {
			jwk := p.signingJWK(family, g)
			if family == own && g == signs {
				signing = jwk
			} else {
				others = append(others, jwk)
			}
		}
	}
	others = append(others, encryptionJWK("P-256", "ECDH-ES"))
	if lies.Keys.Publish != nil {
		return lies.Keys.Publish(signing, others)
	}
	if signing == nil {
		return others
	}
	return slices.Insert(others, 2, any(signing))
}

// families are those of the mixed set, and the provider's own.
func families(own string) []string {
	all := []string{"RSA", "P-256", "Ed25519"}
	if !slices.Contains(all, own) {
		all = append(all, own)
	}
	return all
}

func (p *Provider) signingJWK(family string, generation int) map[string]any {
	jwk := publicJWK(p.key(family, generation).Public())
	jwk["kid"] = keyID(family, generation)
	jwk["use"] = "sig"
	jwk["alg"] = map[string]string{
		"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA",
	}[family]
	if family == familyOf(p.conf.alg) {
		jwk["alg"] = p.conf.alg
	}
	return jwk
}

func keyID(family string, generation int) string {
	return strings.ToLower(family) + "." + strconv.Itoa(generation)
}

func encryptionJWK(family, alg string) map[string]any {
	jwk := publicJWK(privateKey(family, encKey).Public())
	jwk["kid"], jwk["use"], jwk["alg"] = "enc-"+strings.ToLower(family), "enc", alg
	return jwk
}

// secp256k1 is a sound key on a curve that Go has not (RFC 8812): the curve's
// base point, so it has no use. Without alg, as in the suite.
func secp256k1() map[string]any {
	return map[string]any{
		"kty": "EC", "crv": "secp256k1", "kid": "secp256k1.0", "use": "sig",
		"x": "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g",
		"y": "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg",
	}
}

// RotateKeys signs with a new key from now on, and publishes it alone.
func (p *Provider) RotateKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing++
	p.shown = []int{p.signing}
}

// SetKeys says which generation of keys signs, and which are published. An
// orderly rotation (X10) is (0, 0), (0, 0, 1), (1, 0, 1), (1, 1); a disorderly
// one (X11) begins with (1, 0); a key that was stolen goes by (1, 1) (X12).
func (p *Provider) SetKeys(signing int, published ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing, p.shown = signing, slices.Clone(published)
}

// NoKIDs publishes one key of each kind, all without kid (C06). The token's
// header must not have one either: see NoKID.
func NoKIDs(signing map[string]any, others []any) []any {
	set := []any{signing}
	kinds := map[any]bool{kind(signing): true}
	for _, other := range others {
		if jwk, ok := other.(map[string]any); ok && !kinds[kind(jwk)] {
			kinds[kind(jwk)] = true
			set = append(set, jwk)
		}
	}
	return withoutKIDs(set)
}

func kind(jwk map[string]any) string {
	crv, _ := jwk["crv"].(string)
	kty, _ := jwk["kty"].(string)
	return kty + crv
}

// ThreeNoKIDs publishes three RSA keys without kid; the last one is right (C07).
func (p *Provider) ThreeNoKIDs(signing map[string]any, _ []any) []any {
	p.mu.Lock()
	g := p.signing
	p.mu.Unlock()
	return withoutKIDs([]any{p.signingJWK("RSA", g+1), p.signingJWK("RSA", g+2), signing})
}

func withoutKIDs(set []any) []any {
	for i, key := range set {
		jwk := maps.Clone(key.(map[string]any))
		delete(jwk, "kid")
		set[i] = jwk
	}
	return set
}

// SigningKeyWith changes members of the signing key's JWK, for example "use"
// to "enc" (S13); nil takes one away.
func SigningKeyWith(members map[string]any) func(map[string]any, []any) []any {
	return func(signing map[string]any, others []any) []any {
		if signing == nil {
			return others
		}
		for name, value := range members {
			signing[name] = value
			if value == nil {
				delete(signing, name)
			}
		}
		return append([]any{signing}, others...)
	}
}

// GarbageKeys surrounds the signing key with what RFC 7517 section 5 says to
// ignore, and with what no sane document has. The right key is among it.
func GarbageKeys(signing map[string]any, others []any) []any {
	set := []any{
		nil, "key", 7, []any{}, map[string]any{},
		map[string]any{"kty": "AKP", "kid": "ml-dsa", "alg": "ML-DSA-44", "pub": "AAAA"},
		map[string]any{"kty": "RSA", "kid": "base64", "n": "%%%", "e": "AQAB", "use": "sig"},
		map[string]any{"kty": "RSA", "kid": "zero", "n": "", "e": ""},
		map[string]any{"kty": "EC", "kid": "curve", "crv": "P-257", "x": "AA", "y": "AA"},
		map[string]any{"kty": "EC", "kid": "off", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		map[string]any{"kty": "OKP", "kid": "short", "crv": "Ed25519", "x": "AAAA"},
		map[string]any{"kty": "oct", "kid": "oct", "k": "AAAA"},
		map[string]any{"kty": 1, "kid": []any{"list"}, "use": map[string]any{}},
		map[string]any{"kty": "RSA", "kid": "x5c", "n": signing["n"], "e": "AQAB", "x5c": []any{"%%%"}},
	}
	return append(append(set, others...), signing)
}
