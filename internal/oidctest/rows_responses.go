package oidctest

import (
	"encoding/json"
	"net/url"
	"time"
)

// ResponseRows returns the rows about signed authorization responses (JARM). The
// client must request one of the response modes jwt, query.jwt and form_post.jwt.
// Names that begin with "ensure-jarm" are those of modules of the OpenID Foundation's
// suite.
func ResponseRows() []Row {
	lying := func(lie JWTLies) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.Authorization.JWT = lie }
	}
	editing := func(edit func(p *Provider, c map[string]any)) func(*Provider, *Faults) {
		return func(p *Provider, l *Faults) {
			l.Authorization.JWT.Claims = func(c map[string]any) { edit(p, c) }
		}
	}
	set := func(name string, value any) func(*Provider, *Faults) {
		return editing(func(_ *Provider, c map[string]any) { c[name] = value })
	}
	drop := func(name string) func(*Provider, *Faults) {
		return editing(func(_ *Provider, c map[string]any) { delete(c, name) })
	}
	in := func(name string, d time.Duration) func(*Provider, *Faults) {
		return editing(func(p *Provider, c map[string]any) { c[name] = p.conf.now().Add(d).Unix() })
	}
	header := func(name string, value any) func(*Provider, *Faults) {
		return lying(JWTLies{Header: func(h map[string]any) { h[name] = value }})
	}
	beside := func(edit func(params, plain url.Values)) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.Authorization.Beside = edit }
	}
	compact := func(change func(string) string) func(*Provider, *Faults) { return lying(JWTLies{Compact: change}) }
	failed := func(more func(*Faults)) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Authorization.Error, l.Authorization.Description = "access_denied", "the user said no"
			if more != nil {
				more(l)
			}
		}
	}
	rows := staged(AtAuthorization, []Row{
		{ID: "JARM", Name: "the happy path", Want: Accept},
		{ID: "F23", Name: "ensure-jarm-without-iss-fails", Want: Refuse, tell: drop("iss")},
		{ID: "F24", Name: "ensure-jarm-with-invalid-iss-fails", Want: Refuse, tell: set("iss", "https://evil.test")},
		{ID: "F25", Name: "ensure-jarm-without-aud-fails", Want: Refuse, tell: drop("aud")},
		{ID: "F26", Name: "ensure-jarm-with-invalid-aud-fails", Want: Refuse, tell: set("aud", "another")},
		{ID: "F27", Name: "ensure-jarm-without-exp-fails", Want: Refuse, tell: drop("exp")},
		{ID: "F28", Name: "ensure-jarm-with-expired-exp-fails", Want: Refuse, tell: in("exp", -6*time.Minute)},
		{ID: "F29", Name: "ensure-jarm-with-invalid-sig-fails", Want: Refuse, tell: lying(JWTLies{Signature: SignCorruptly})},
		{ID: "F30", Name: "ensure-jarm-signature-is-not-none", Want: Refuse, tell: lying(JWTLies{Alg: "none"})},

		{ID: "JARM", Name: "aud is a list with the client alone", Want: Accept, tell: set("aud", []string{"rp"})},
		{ID: "JARM", Name: "aud is a list with the client and another", Want: Accept, tell: set("aud", []string{"other", "rp"})},
		{ID: "JARM", Name: "aud is a list without the client", Want: Refuse, tell: set("aud", []string{"other"})},
		{ID: "JARM", Name: "aud is a number", Want: Refuse, tell: set("aud", 7)},
		{ID: "JARM", Name: "iss is a list", Want: Refuse, tell: editing(func(p *Provider, c map[string]any) { c["iss"] = []string{p.issuer} })},
		{ID: "JARM", Name: "iss with a slash more", Want: Refuse, tell: editing(func(p *Provider, c map[string]any) { c["iss"] = p.issuer + "/" })},
		{ID: "JARM", Name: "exp is a text", Want: Refuse, tell: set("exp", "4102444800")},
		{ID: "JARM", Name: "exp is within the skew", Want: Accept, tell: in("exp", -30*time.Second)},
		{ID: "JARM", Name: "no iat", Want: Accept, tell: drop("iat")},
		{ID: "JARM", Name: "iat is in the future", Want: Refuse, tell: in("iat", 5*time.Minute)},
		{ID: "JARM", Name: "nbf has not come", Want: Refuse, tell: in("nbf", 5*time.Minute)},
		{ID: "JARM", Name: "nbf has come", Want: Accept, tell: in("nbf", -time.Minute)},
		{ID: "JARM", Name: "another key under the name of the right one", Want: Refuse, tell: lying(JWTLies{Signature: SignWithWrongKey})},
		{ID: "JARM", Name: "no signature", Want: Refuse, tell: lying(JWTLies{Signature: SignNot})},
		{ID: "JARM", Name: "HS256 with the client secret, not configured", Want: Refuse, tell: lying(JWTLies{Alg: "HS256"})},
		{ID: "JARM", Name: "HS256 with the public key for a secret", Want: Refuse, tell: lying(JWTLies{Signature: SignWithPublicKey})},
		{ID: "JARM", Name: "ES256 by a published key where metadata has RS256", Want: Refuse, tell: lying(JWTLies{Alg: "ES256"})},
		{ID: "JARM", Name: "the key is in the header", Want: Refuse, tell: lying(JWTLies{Signature: SignWithWrongKey, Header: func(h map[string]any) { h["jwk"] = WrongJWK() }})},
		{ID: "JARM", Name: "an unknown critical parameter", Want: Refuse, tell: lying(JWTLies{Header: func(h map[string]any) { h["crit"], h["urn:x"] = []string{"urn:x"}, true }})},
		{ID: "JARM", Name: "an unknown kid", Want: Refuse, tell: header("kid", "junk")},
		{ID: "JARM", Name: "it is a logout token by its typ", Want: Refuse, tell: header("typ", "logout+jwt")},
		{ID: "JARM", Name: "it has a nonce, as ID tokens do", Want: Refuse, tell: set("nonce", "n")},
		{ID: "JARM", Name: "iss twice", Want: Refuse, tell: lying(JWTLies{Payload: func(json []byte) []byte {
			return append([]byte(`{"iss":"https://evil.test",`), json[1:]...)
		}})},
		{ID: "JARM", Name: "a payload that is no object", Want: Refuse, tell: lying(JWTLies{Payload: func([]byte) []byte { return []byte(`"x"`) }})},
		{ID: "JARM", Name: "two parts", Want: Refuse, tell: compact(func(token string) string { return token[:len(token)-20] + "." })},
		{ID: "JARM", Name: "an empty response", Want: Refuse, tell: compact(func(string) string { return "" })},
		{ID: "JARM", Name: "a response of more than 64 KiB", Want: Refuse, tell: set("x", string(make([]byte, 10<<10)))},

		{ID: "JARM", Name: "plain parameters instead of the response", Want: Refuse, tell: beside(func(params, plain url.Values) {
			params.Del("response")
			for name, values := range plain {
				params[name] = values
			}
		})},
		{ID: "JARM", Name: "plain parameters beside the response", Want: Refuse, tell: beside(func(params, plain url.Values) {
			for name, values := range plain {
				params[name] = values
			}
		})},
		{ID: "JARM", Name: "a plain error beside the response", Want: Refuse, tell: beside(func(params, _ url.Values) { params.Set("error", "access_denied") })},
		{ID: "JARM", Name: "a plain state beside the response", Want: Refuse, tell: beside(func(params, plain url.Values) { params.Set("state", plain.Get("state")) })},
		{ID: "JARM", Name: "the response twice", Want: Refuse, tell: beside(func(params, _ url.Values) { params["response"] = append(params["response"], params.Get("response")) })},
		{ID: "JARM", Name: "unknown parameters beside the response", Want: Accept, tell: beside(func(params, _ url.Values) { params.Set("session_state", "x") })},

		{ID: "JARM", Name: "the code of another state", Want: Refuse, tell: editing(func(_ *Provider, c map[string]any) { c["state"] = c["state"].(string) + "x" })},
		{ID: "JARM", Name: "no state", Want: Refuse, tell: drop("state")},
		{ID: "JARM", Name: "state is a number", Want: Refuse, tell: set("state", 7)},
		{ID: "JARM", Name: "state is null", Want: Refuse, tell: set("state", json.RawMessage("null"))},
		{ID: "JARM", Name: "code is a list", Want: Refuse, tell: editing(func(_ *Provider, c map[string]any) { c["code"] = []any{c["code"]} })},
		{ID: "JARM", Name: "neither code nor error", Want: Refuse, tell: drop("code")},
		{ID: "JARM", Name: "code and error", Want: Refuse, tell: set("error", "access_denied")},
		{ID: "JARM", Name: "the user said no", Want: Refuse, tell: failed(nil)},
		{ID: "JARM", Name: "the user said no, without a signature", Want: Refuse, tell: failed(func(l *Faults) {
			l.Authorization.Beside = func(params, plain url.Values) {
				params.Del("response")
				for name, values := range plain {
					params[name] = values
				}
			}
		})},
	})
	for i := range rows {
		rows[i].Options = append(rows[i].Options, SignedResponses())
	}
	return rows
}
