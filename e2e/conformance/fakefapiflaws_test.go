package main

import (
	"maps"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A fapiFlaw is what is wrong with a module's provider. last is the last step that may
// happen, 0 if the login must succeed.
type fapiFlaw struct {
	lie  func(*oidctest.Faults)
	last int
}

// These are the flaws of the modules. Plans with signed and with plain authorization
// responses differ in the flaws of that response.
var (
	fapiFlaws = map[string]fapiFlaw{
		happy:                                        {},
		"discovery-issuer-mismatch":                  {func(l *oidctest.Faults) { l.Discovery = suffixed("issuer") }, stepDiscovery},
		"invalid-iss":                                inIDToken(suffixed("iss")),
		"invalid-missing-iss":                        inIDToken(without("iss")),
		"invalid-aud":                                inIDToken(suffixed("aud")),
		"invalid-missing-aud":                        inIDToken(without("aud")),
		"invalid-secondary-aud":                      inIDToken(func(c map[string]any) { c["aud"] = []any{c["aud"], "another"} }),
		"valid-aud-as-array":                         {func(l *oidctest.Faults) { l.IDToken.Claims = func(c map[string]any) { c["aud"] = []any{c["aud"]} } }, 0},
		"invalid-null-alg":                           {func(l *oidctest.Faults) { l.IDToken.Alg = "none" }, stepToken},
		"invalid-alternate-alg":                      {func(l *oidctest.Faults) { l.IDToken.Alg = "RS256" }, stepToken},
		"invalid-expired-exp":                        inIDToken(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 330 }),
		"invalid-missing-exp":                        inIDToken(without("exp")),
		"invalid-nonce":                              inIDToken(suffixed("nonce")),
		"invalid-missing-nonce":                      inIDToken(without("nonce")),
		"token-endpoint-response-without-expires_in": {func(l *oidctest.Faults) { l.Token = without("expires_in") }, 0},
		"token-type-case-insensitivity": {func(l *oidctest.Faults) {
			l.Token = func(m map[string]any) { m["token_type"] = oddCase(m["token_type"].(string)) }
		}, 0},
	}
	plainResponseFlaws = map[string]fapiFlaw{
		"invalid-authorization-response-iss":                             inResponse(func(q url.Values) { q.Set("iss", q.Get("iss")+"1") }),
		"remove-authorization-response-iss":                              inResponse(func(q url.Values) { q.Del("iss") }),
		"ensure-authorization-response-with-invalid-state-fails":         inResponse(func(q url.Values) { q.Set("state", q.Get("state")+"1") }),
		"ensure-authorization-response-with-invalid-missing-state-fails": inResponse(func(q url.Values) { q.Del("state") }),
	}
	signedResponseFlaws = map[string]fapiFlaw{
		"ensure-authorization-response-with-invalid-state-fails":         inSignedResponse(suffixed("state")),
		"ensure-authorization-response-with-invalid-missing-state-fails": inSignedResponse(without("state")),
		"ensure-jarm-without-iss-fails":                                  inSignedResponse(without("iss")),
		"ensure-jarm-with-invalid-iss-fails":                             inSignedResponse(suffixed("iss")),
		"ensure-jarm-without-aud-fails":                                  inSignedResponse(without("aud")),
		"ensure-jarm-with-invalid-aud-fails":                             inSignedResponse(suffixed("aud")),
		"ensure-jarm-without-exp-fails":                                  inSignedResponse(without("exp")),
		"ensure-jarm-with-expired-exp-fails":                             inSignedResponse(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 600 }),
		"ensure-jarm-with-invalid-sig-fails":                             {func(l *oidctest.Faults) { l.Authorization.JWT.Signature = oidctest.SignCorruptly }, stepAuthorize},
		"ensure-jarm-signature-is-not-none":                              {func(l *oidctest.Faults) { l.Authorization.JWT.Alg = "none" }, stepAuthorize},
	}
	proofFlaws = map[string]fapiFlaw{
		"happy-path-no-dpop-nonce": {},
		"rs-dpop-auth-scheme-case-insensitivity": {func(l *oidctest.Faults) {
			l.DPoP.Challenge = func(challenge string) string { return oddCase("DPoP") + strings.TrimPrefix(challenge, "DPoP") }
		}, 0},
	}
)

func without(name string) func(map[string]any) {
	return func(m map[string]any) { delete(m, name) }
}

func suffixed(name string) func(map[string]any) {
	return func(m map[string]any) { m[name] = m[name].(string) + "1" }
}

func inIDToken(edit func(map[string]any)) fapiFlaw {
	return fapiFlaw{func(l *oidctest.Faults) { l.IDToken.Claims = edit }, stepToken}
}

func inResponse(edit func(url.Values)) fapiFlaw {
	return fapiFlaw{func(l *oidctest.Faults) { l.Authorization.Params = edit }, stepAuthorize}
}

func inSignedResponse(edit func(map[string]any)) fapiFlaw {
	return fapiFlaw{func(l *oidctest.Faults) { l.Authorization.JWT.Claims = edit }, stepAuthorize}
}

// oddCase swaps the case of each letter.
func oddCase(word string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c ^ 0x20
		}
		return c
	}, word)
}

// fapiFlawsOf returns the modules that a FAPI 2.0 plan has in its variant, by their names
// here. Other plans have none.
func fapiFlawsOf(p *fakePlan) map[string]fapiFlaw {
	flaws := map[string]fapiFlaw{}
	if !strings.HasPrefix(p.name, "fapi2-") {
		return flaws
	}
	maps.Copy(flaws, fapiFlaws)
	if p.variant["fapi_response_mode"] == "jarm" {
		maps.Copy(flaws, signedResponseFlaws)
	} else {
		maps.Copy(flaws, plainResponseFlaws)
	}
	if p.variant["sender_constrain"] == "dpop" {
		maps.Copy(flaws, proofFlaws)
	}
	return flaws
}
