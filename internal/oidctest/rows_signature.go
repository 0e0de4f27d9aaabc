package oidctest

import "strings"

// signatureRows returns the rows about the algorithm, the signature, the header
// and the encoding of ID tokens.
func signatureRows() []Row {
	signed := func(alg string, s Signature) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.IDToken.Alg, l.IDToken.Signature = alg, s }
	}
	// offering signs with the wrong key and offers that key in the header.
	offering := func(name string, value func(p *Provider) any) func(*Provider, *Faults) {
		return func(p *Provider, l *Faults) {
			l.IDToken.Signature = SignWithWrongKey
			l.IDToken.Header = func(h map[string]any) {
				h["kid"] = "wrong"
				h[name] = value(p)
			}
		}
	}
	// This path is not served: a request to it is a violation.
	elsewhere := func(p *Provider) any { return p.server.origin + trapPath }
	compact := func(edit func(header, payload, signature string) string) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.IDToken.Compact = func(token string) string {
				part := strings.Split(token, ".")
				return edit(part[0], part[1], part[2])
			}
		}
	}
	return staged(AtIDToken, []Row{
		{ID: "C09", Name: "alg none", Want: Refuse, tell: signed("none", SignHonestly)},
		{ID: "C09", Name: "alg None", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Alg = "none"
			l.IDToken.Header = func(h map[string]any) { h["alg"] = "None" }
		}},
		{ID: "C09", Name: "no alg", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Header = func(h map[string]any) { delete(h, "alg") }
		}},
		{ID: "C10", Name: "a broken RS256 signature", Want: Refuse, tell: signed("", SignCorruptly)},
		{ID: "C10", Name: "the signature of another key", Want: Refuse, tell: signed("", SignWithWrongKey)},
		{ID: "C10", Name: "no signature under RS256", Want: Refuse, tell: signed("", SignNot)},
		{ID: "C10", Name: "claims that were not signed", Want: Refuse, tell: compact(func(h, _, s string) string {
			return h + "." + b64([]byte(`{"sub":"u-1002"}`)) + "." + s
		})},
		{ID: "C19a", Name: "a broken ES256 signature", Want: Refuse, Options: []Option{Alg("ES256")}, tell: signed("", SignCorruptly)},
		{ID: "C19b", Name: "a broken HS256 signature", Want: Refuse, tell: signed("HS256", SignCorruptly)},
		{ID: "C10", Name: "a broken PS256 signature", Want: Refuse, Options: []Option{Alg("PS256")}, tell: signed("", SignCorruptly)},
		{ID: "C10", Name: "a broken EdDSA signature", Want: Refuse, Options: []Option{Alg("EdDSA")}, tell: signed("", SignCorruptly)},
		{ID: "S09", Name: "HS256 with the client secret, not configured", Want: Refuse, tell: signed("HS256", SignHonestly)},
		{ID: "S09", Name: "HS256 with the public key for a secret", Want: Refuse, tell: signed("", SignWithPublicKey)},
		{ID: "F10", Name: "ES256 by a published key where metadata has RS256", Want: Refuse, tell: signed("ES256", SignHonestly)},
		{ID: "F10", Name: "EdDSA by a published key where metadata has RS256", Want: Refuse, tell: signed("EdDSA", SignHonestly)},
		{ID: "F10", Name: "PS256 by the RS256 key", Want: Refuse, tell: signed("PS256", SignHonestly)},
		{ID: "S09", Name: "a header that says ES256 over an RS256 signature", Want: Refuse, tell: headerMember("alg", "ES256")},
		{ID: "S14", Name: "an unknown critical parameter", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Header = func(h map[string]any) { h["crit"], h["urn:x"] = []string{"urn:x"}, true }
		}},
		{ID: "S14", Name: "an empty crit", Want: Either, tell: headerMember("crit", []string{})},
		{ID: "S14", Name: "the key is in the header", Want: Refuse, tell: offering("jwk", func(*Provider) any { return WrongJWK() })},
		{ID: "S14", Name: "the header says where the key is", Want: Refuse, tell: offering("jku", elsewhere)},
		{ID: "S14", Name: "the header says where a certificate is", Want: Refuse, tell: offering("x5u", elsewhere)},
		{ID: "S14", Name: "a certificate is in the header", Want: Refuse, tell: offering("x5c", func(*Provider) any {
			return []string{"MIIB"}
		})},
		{ID: "S14", Name: "a jku over an honest signature", Want: Accept, tell: func(p *Provider, l *Faults) {
			l.IDToken.Header = func(h map[string]any) { h["jku"] = elsewhere(p) }
		}, Note: "ignored; a request to it is a violation"},
		{ID: "S14", Name: "kid is a path", Want: Refuse, tell: headerMember("kid", "../../../etc/passwd")},
		{ID: "S14", Name: "kid is a number", Want: Refuse, tell: headerMember("kid", 7)},
		{ID: "C10", Name: "two parts", Want: Refuse, tell: compact(func(h, p, _ string) string { return h + "." + p })},
		{ID: "C10", Name: "four parts", Want: Refuse, tell: compact(func(h, p, s string) string { return h + "." + p + "." + s + "." })},
		{ID: "C10", Name: "padded base64", Want: Refuse, tell: compact(func(h, p, s string) string { return h + "." + p + "." + s + "==" })},
		{ID: "C10", Name: "JSON serialisation", Want: Refuse, tell: compact(func(h, p, s string) string {
			return `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`
		})},
		{ID: "C10", Name: "dots alone", Want: Refuse, tell: compact(func(_, _, _ string) string { return strings.Repeat(".", 1000) })},
	})
}
