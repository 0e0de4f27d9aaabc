package oidctest

import "strings"

// idTokenRows returns the rows about the claims of ID tokens, and about their
// typ.
func idTokenRows() []Row {
	payload := func(text string, first bool) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.IDToken.Payload = member(text, first) }
	}
	aud := func(change func(own any, c map[string]any)) func(*Provider, *Faults) {
		return editing(func(c map[string]any) { change(c["aud"], c) })
	}
	long := strings.Repeat("s", 300)
	return staged(AtIDToken, []Row{
		{ID: "C02", Name: "another iss", Want: Refuse, tell: suffixed("iss", "1")},
		{ID: "C02", Name: "iss with a slash more", Want: Refuse, tell: suffixed("iss", "/")},
		{ID: "F05", Name: "no iss", Want: Refuse, tell: without("iss")},
		{ID: "C03", Name: "no sub", Want: Refuse, tell: without("sub")},
		{ID: "S11", Name: "an empty sub", Want: Refuse, tell: claim("sub", "")},
		{ID: "S11", Name: "sub is a number", Want: Refuse, tell: claim("sub", 1001)},
		{ID: "S11", Name: "sub is null", Want: Refuse, tell: claim("sub", nil)},
		{ID: "S11", Name: "sub is too long", Want: Refuse, tell: claim("sub", long)},
		{ID: "S11", Name: "sub is not ASCII", Want: Refuse, tell: claim("sub", "üser")},
		{ID: "C04", Name: "another aud", Want: Refuse, tell: suffixed("aud", "1")},
		{ID: "C18", Name: "no aud", Want: Refuse, tell: without("aud")},
		{ID: "C18", Name: "aud is an empty list", Want: Refuse, tell: claim("aud", []string{})},
		{ID: "C18", Name: "aud is a number", Want: Refuse, tell: claim("aud", 7)},
		{ID: "F08", Name: "aud is a list of us alone", Want: Accept, tell: aud(func(own any, c map[string]any) { c["aud"] = []any{own} })},
		{ID: "F07", Name: "aud names somebody else as well", Want: Refuse, tell: aud(func(own any, c map[string]any) {
			c["aud"] = []any{own, "another"}
		})},
		{ID: "S09", Name: "aud names somebody else as well, azp us", Want: Refuse, tell: aud(func(own any, c map[string]any) {
			c["aud"], c["azp"] = []any{own, "another"}, own
		}), Note: "unless the other one is on a list of trusted audiences"},
		{ID: "S09", Name: "azp is somebody else", Want: Refuse, tell: claim("azp", "another")},
		{ID: "S09", Name: "azp is us", Want: Accept, tell: aud(func(own any, c map[string]any) { c["azp"] = own })},
		{ID: "F12", Name: "no exp", Want: Refuse, tell: without("exp")},
		{ID: "F11", Name: "exp is ten minutes past", Want: Refuse, tell: fromNow("exp", -600)},
		{ID: "S09", Name: "exp is 90 seconds past", Want: Refuse, tell: fromNow("exp", -90)},
		{ID: "S09", Name: "exp is 30 seconds past", Want: Accept, tell: fromNow("exp", -30), Note: "with 60 s of clock skew"},
		{ID: "C05", Name: "no iat", Want: Refuse, tell: without("iat")},
		{ID: "S09", Name: "iat is an hour ahead", Want: Refuse, tell: shifted("iat", 3600)},
		{ID: "S09", Name: "iat is 30 seconds ahead", Want: Accept, tell: shifted("iat", 30)},
		{ID: "S09", Name: "iat is a week past", Want: Either, tell: shifted("iat", -7*86400)},
		{ID: "S09", Name: "nbf is an hour ahead", Want: Refuse, tell: fromNow("nbf", 3600)},
		{ID: "S09", Name: "nbf is past", Want: Accept, tell: fromNow("nbf", -60)},
		{ID: "C12", Name: "another nonce", Want: Refuse, tell: suffixed("nonce", "1")},
		{ID: "F14", Name: "no nonce", Want: Refuse, tell: without("nonce")},
		{ID: "F14", Name: "an empty nonce", Want: Refuse, tell: claim("nonce", "")},
		{ID: "F14", Name: "nonce is a list", Want: Refuse, tell: editing(func(c map[string]any) { c["nonce"] = []any{c["nonce"]} })},
		{ID: "S10", Name: "exp is a string", Want: Refuse, tell: rawClaim("exp", `"9999999999"`)},
		{ID: "S10", Name: "iat is a string", Want: Refuse, tell: rawClaim("iat", `"1700000000"`)},
		{ID: "S10", Name: "nbf is a string", Want: Refuse, tell: rawClaim("nbf", `"1700000000"`)},
		{ID: "S10", Name: "auth_time is a string", Want: Refuse, tell: rawClaim("auth_time", `"1700000000"`)},
		{ID: "S10", Name: "exp is 1e300", Want: Refuse, tell: rawClaim("exp", "1e300")},
		{ID: "S10", Name: "exp is no double", Want: Refuse, tell: rawClaim("exp", "1e999")},
		{ID: "S10", Name: "exp is beyond 2^53", Want: Refuse, tell: rawClaim("exp", "9007199254740994")},
		{ID: "S10", Name: "exp is beyond 64 bits", Want: Refuse, tell: rawClaim("exp", "18446744073709551617")},
		{ID: "S10", Name: "exp is negative", Want: Refuse, tell: rawClaim("exp", "-1")},
		{ID: "S10", Name: "exp is null", Want: Refuse, tell: rawClaim("exp", "null")},
		{ID: "S10", Name: "exp is a boolean", Want: Refuse, tell: rawClaim("exp", "true")},
		{ID: "S10", Name: "exp has a fraction", Want: Accept, tell: editing(func(c map[string]any) {
			c["exp"] = float64(c["exp"].(int64)) + 0.5
		}), Note: "a NumericDate may, RFC 7519 section 2"},
		{ID: "X27", Name: "exp is after 2038", Want: Accept, tell: rawClaim("exp", "4102444800")},
		{ID: "X27", Name: "exp is in the year 9999", Want: Accept, tell: rawClaim("exp", "253402300799")},
		{ID: "S15", Name: "an events claim", Want: Refuse, tell: claim("events", map[string]any{BackchannelEvent: map[string]any{}})},
		{ID: "S15", Name: "typ is logout+jwt", Want: Refuse, tell: headerMember("typ", "logout+jwt")},
		{ID: "S15", Name: "typ is at+jwt", Want: Refuse, tell: headerMember("typ", "at+jwt")},
		{ID: "S15", Name: "no typ", Want: Accept, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Header = func(h map[string]any) { delete(h, "typ") }
		}},
		{ID: "S11", Name: "another sub before the right one", Want: Either, tell: payload(`"sub":"u-admin"`, true),
			Note: "refuse, or take the last one (RFC 7519 section 4)"},
		{ID: "S11", Name: "another sub after the right one", Want: Refuse, Stage: AtUserInfo, tell: payload(`"sub":"u-admin"`, false),
			Note: "refused by itself, or since the last one is not that of userinfo"},
		{ID: "S11", Name: "SUB is another", Want: Either, tell: payload(`"SUB":"u-admin"`, false), Note: "it is not sub"},
		{ID: "S09", Name: "NONCE instead of nonce", Want: Refuse, tell: editing(func(c map[string]any) {
			c["NONCE"] = c["nonce"]
			delete(c, "nonce")
		})},
		{ID: "S09", Name: "Aud instead of aud", Want: Refuse, tell: editing(func(c map[string]any) {
			c["Aud"] = c["aud"]
			delete(c, "aud")
		})},
		{ID: "S09", Name: "claims that are a list", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Payload = func(b []byte) []byte { return []byte("[" + string(b) + "]") }
		}},
		{ID: "S09", Name: "claims that are no JSON", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Payload = func([]byte) []byte { return []byte("sub=u-1001") }
		}},
		{ID: "S09", Name: "claims with more after them", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.IDToken.Payload = func(b []byte) []byte { return append(b, []byte(`{"sub":"u-admin"}`)...) }
		}},
	})
}
