package oidctest

// userinfoRows returns the rows about userinfo responses. In rows with the
// verdict Refuse, the request to the endpoint is correct, but there must be no
// session.
func userinfoRows() []Row {
	claims := func(edit func(c map[string]any)) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.UserInfo.Claims = edit }
	}
	set := func(name string, value any) func(*Provider, *Faults) {
		return claims(func(c map[string]any) { c[name] = value })
	}
	signed := func(jwt JWTLies) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.UserInfo = UserInfoLies{Signed: true, JWT: jwt} }
	}
	edited := func(edit func(c map[string]any)) func(*Provider, *Faults) { return signed(JWTLies{Claims: edit}) }
	return staged(AtUserInfo, []Row{
		{ID: "C11", Name: "another sub", Want: Refuse, tell: claims(func(c map[string]any) { c["sub"] = c["sub"].(string) + "invalid" })},
		{ID: "S16", Name: "no sub", Want: Refuse, tell: claims(func(c map[string]any) { delete(c, "sub") })},
		{ID: "S16", Name: "an empty sub", Want: Refuse, tell: set("sub", "")},
		{ID: "S16", Name: "sub is a number", Want: Refuse, tell: set("sub", 1001)},
		{ID: "S16", Name: "SUB instead of sub", Want: Refuse, tell: claims(func(c map[string]any) {
			c["SUB"] = c["sub"]
			delete(c, "sub")
		})},
		{ID: "S16", Name: "another sub before the right one", Want: Either, tell: fault(UserInfo, Fault{Body: member(`"sub":"u-admin"`, true)})},
		{ID: "S16", Name: "another sub after the right one", Want: Refuse, tell: fault(UserInfo, Fault{Body: member(`"sub":"u-admin"`, false)})},
		{ID: "S16", Name: "SUB is another", Want: Either, tell: fault(UserInfo, Fault{Body: member(`"SUB":"u-admin"`, false)})},
		{ID: "S16", Name: "a list", Want: Refuse, tell: fault(UserInfo, Fault{Body: func(b []byte) []byte {
			return append(append([]byte{'['}, b...), ']')
		}})},
		{ID: "S16", Name: "a string", Want: Refuse, tell: body(UserInfo, "application/json", `"u-1001"`)},
		{ID: "S16", Name: "null", Want: Refuse, tell: body(UserInfo, "application/json", "null")},
		{ID: "S16", Name: "an empty document", Want: Refuse, tell: body(UserInfo, "application/json", "")},
		{ID: "S16", Name: "HTML", Want: Refuse, tell: body(UserInfo, "text/html", "<p>canary</p>")},
		{ID: "S16", Name: "JSON called HTML", Want: Either, tell: fault(UserInfo, Fault{ContentType: "text/html"})},
		{ID: "S16", Name: "JSON called a JWT", Want: Refuse, tell: fault(UserInfo, Fault{ContentType: "application/jwt"})},
		{ID: "S16", Name: "status 401", Want: Refuse, tell: fault(UserInfo, Fault{Status: 401})},
		{ID: "S16", Name: "status 500", Want: Refuse, tell: fault(UserInfo, Fault{Status: 500})},
		{ID: "S16", Name: "a redirect elsewhere", Want: Refuse, tell: func(p *Provider, l *Faults) {
			l.At(UserInfo).Redirects(302, p.server.origin+trapPath)
		}, Note: "the access token must not go there; a request is a violation"},
		{ID: "C15", Name: "signed by RS256", Want: Accept, tell: signed(JWTLies{})},
		{ID: "C15", Name: "signed, the signature broken", Want: Refuse, tell: signed(JWTLies{Signature: SignCorruptly})},
		{ID: "C15", Name: "signed by another key", Want: Refuse, tell: signed(JWTLies{Signature: SignWithWrongKey})},
		{ID: "C15", Name: "unsigned", Want: Refuse, tell: signed(JWTLies{Alg: "none"})},
		{ID: "C15", Name: "signed, another iss", Want: Refuse, tell: edited(func(c map[string]any) { c["iss"] = "https://evil.test" })},
		{ID: "C15", Name: "signed, another aud", Want: Refuse, tell: edited(func(c map[string]any) { c["aud"] = "another" })},
		{ID: "C15", Name: "signed, another sub", Want: Refuse, tell: edited(func(c map[string]any) { c["sub"] = "u-1002" })},
		{ID: "C19c", Name: "unsigned aggregated claims", Want: Accept, tell: claims(aggregated),
			Note: "the inner claims are not the user's"},
		{ID: "C19d", Name: "distributed claims", Want: Accept, tell: func(p *Provider, l *Faults) {
			l.UserInfo.Claims = func(c map[string]any) {
				c["_claim_names"] = map[string]any{"credit_score": "src1"}
				c["_claim_sources"] = map[string]any{"src1": map[string]any{
					"endpoint": p.server.origin + trapPath, "access_token": "another",
				}}
			}
		}, Note: "a provider cannot make us call a URL; a request is a violation"},
		{ID: "S16", Name: "protocol claims that are not its business", Want: Accept, tell: claims(func(c map[string]any) {
			c["iss"], c["aud"], c["exp"], c["nonce"], c["acr"] = "https://evil.test", "another", 1, "x", "high"
		}), Note: "iss, aud, exp, nonce and acr stay those of the ID token"},
	})
}

// aggregated adds aggregated claims in an unsigned JWT (OpenID Connect Core,
// section 5.6.2.1).
func aggregated(c map[string]any) {
	inner := b64([]byte(`{"alg":"none"}`)) + "." +
		b64([]byte(`{"iss":"https://claims.example","groups":["root"],"eye_color":"blue"}`)) + "."
	c["_claim_names"] = map[string]any{"eye_color": "src1", "groups": "src1"}
	c["_claim_sources"] = map[string]any{"src1": map[string]any{"JWT": inner}}
}
