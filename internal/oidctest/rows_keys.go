package oidctest

import "strings"

// keyRows returns the rows about the key set: keys without kid, rotation, the
// purposes of keys, and garbage among the keys.
func keyRows() []Row {
	publish := func(set func(map[string]any, []any) []any) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.Keys.Publish = set }
	}
	nameless := func(_ *Provider, l *Faults) {
		l.Keys.Publish, l.IDToken.Header = NoKIDs, NoKID
	}
	with := func(name string, value any) func(*Provider, *Faults) {
		return publish(SigningKeyWith(map[string]any{name: value}))
	}
	return staged(AtKeys, []Row{
		{ID: "C06", Name: "no kid, one key of each kind", Want: Accept, tell: nameless},
		{ID: "C06", Name: "no kid, one key of each kind, ES256", Want: Accept, Options: []Option{Alg("ES256")}, tell: nameless},
		{ID: "C07", Name: "no kid, three RSA keys", Want: Either, tell: func(p *Provider, l *Faults) {
			l.Keys.Publish, l.IDToken.Header = p.ThreeNoKIDs, NoKID
		}},
		{ID: "C06", Name: "no kid in the header alone", Want: Either, tell: func(_ *Provider, l *Faults) { l.IDToken.Header = NoKID }},
		{ID: "C23", Name: "new keys just before signing", Want: Accept, tell: func(_ *Provider, l *Faults) { l.Keys.RotateBeforeSigning = true },
			Note: "the key set is fetched again, once"},
		{ID: "C24", Name: "new keys for each login", Want: Accept, Logins: 2, tell: func(_ *Provider, l *Faults) { l.Keys.RotateEachLogin = true }},
		{ID: "X11", Name: "the key is not published", Want: Refuse, tell: publish(func(_ map[string]any, others []any) []any { return others })},
		{ID: "C10", Name: "another key under the right kid", Want: Refuse, tell: publish(func(signing map[string]any, others []any) []any {
			wrong := WrongJWK()
			wrong["kid"] = signing["kid"]
			return append(others, wrong)
		})},
		{ID: "S13", Name: "the key is for encryption", Want: Refuse, tell: with("use", "enc")},
		{ID: "S13", Name: "the key is for encryption, and no kid", Want: Refuse, tell: func(p *Provider, l *Faults) {
			with("use", "enc")(p, l)
			l.IDToken.Header = NoKID
		}},
		{ID: "S13", Name: "the key has another alg", Want: Refuse, tell: with("alg", "RS512")},
		{ID: "S13", Name: "the key has other operations", Want: Refuse, tell: publish(SigningKeyWith(map[string]any{
			"use": nil, "key_ops": []string{"encrypt", "wrapKey"},
		}))},
		{ID: "S13", Name: "the key may verify", Want: Accept, tell: publish(SigningKeyWith(map[string]any{
			"use": nil, "key_ops": []string{"verify"},
		}))},
		{ID: "S13", Name: "the key has neither use nor alg", Want: Accept, tell: publish(SigningKeyWith(map[string]any{"use": nil, "alg": nil}))},
		{ID: "C00", Name: "garbage among the keys", Want: Accept, tell: publish(GarbageKeys)},
		{ID: "C00", Name: "garbage alone", Want: Refuse, tell: publish(func(map[string]any, []any) []any {
			return []any{nil, 7, map[string]any{"kty": "AKP"}, secp256k1()}
		})},
		{ID: "C00", Name: "no keys", Want: Refuse, tell: publish(func(map[string]any, []any) []any { return []any{} })},
		{ID: "C00", Name: "keys is an object", Want: Refuse, tell: body(JWKS, "application/json", `{"keys":{}}`)},
		{ID: "C00", Name: "keys is null", Want: Refuse, tell: body(JWKS, "application/json", `{"keys":null}`)},
		{ID: "C00", Name: "a list and no key set", Want: Refuse, tell: body(JWKS, "application/json", `[]`)},
		{ID: "X21", Name: "a key set called plain text", Want: Either, tell: fault(JWKS, Fault{ContentType: "text/plain"})},
		{ID: "X21", Name: "a key set that is HTML", Want: Refuse, tell: body(JWKS, "text/html", "<p>keys</p>")},
		{ID: "X18", Name: "a thousand keys", Want: Either, tell: publish(func(signing map[string]any, others []any) []any {
			for i := range 1000 {
				others = append(others, map[string]any{"kty": "oct", "kid": strings.Repeat("k", i%50+1), "k": "AAAA"})
			}
			return append(others, signing)
		})},
	})
}
