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

// KeySet returns the document at jwks_uri, for tests that do not use HTTP.
func (p *Provider) KeySet() []byte {
	lies := p.Lies()
	doc, err := json.Marshal(map[string]any{"keys": p.keys(&lies)})
	if err != nil {
		p.t.Errorf("oidctest: key set: %v", err)
	}
	return doc
}

// keys returns the published keys. By default, the set is that of the OpenID
// Foundation's suite: the signing key among an EC key, an Ed25519 key, a
// secp256k1 key without alg, and two encryption keys. A relying party that
// fails at the key that it cannot read cannot sign in any user.
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

// families returns the key families in the default key set: the mixed ones, and
// the provider's own.
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

// secp256k1 returns a valid key on a curve that Go does not support (RFC 8812).
// It is the base point of the curve, and has no alg, as in the suite.
func secp256k1() map[string]any {
	return map[string]any{
		"kty": "EC", "crv": "secp256k1", "kid": "secp256k1.0", "use": "sig",
		"x": "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g",
		"y": "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg",
	}
}

// RotateKeys replaces the signing key and publishes only the new one.
func (p *Provider) RotateKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing++
	p.shown = []int{p.signing}
}

// SetKeys sets the generation of the signing key, and the generations that are
// published. An orderly rotation is (0, 0), (0, 0, 1), (1, 0, 1), (1, 1). A
// disorderly one begins with (1, 0), which signs with an unpublished key. (1,
// 1) immediately withdraws a stolen key.
func (p *Provider) SetKeys(signing int, published ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing, p.shown = signing, slices.Clone(published)
}

// NoKIDs is a KeyLies.Publish that publishes one key of each kind, without kid.
// The token's header must not have a kid either: see NoKID.
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

// ThreeNoKIDs is a KeyLies.Publish that publishes three RSA keys without kid, of
// which the last is the right one.
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

// SigningKeyWith returns a KeyLies.Publish that sets members of the signing
// key's JWK, for example "use" to "enc". A nil value removes the member.
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

// GarbageKeys is a KeyLies.Publish that puts, before the signing key, keys that
// must be ignored according to RFC 7517, section 5, and values that are not
// keys at all.
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
