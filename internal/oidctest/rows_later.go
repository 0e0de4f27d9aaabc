package oidctest

import "encoding/json"

// RefreshRows returns rows in which the login is honest and the ID token of the
// refresh is not. Their options include RefreshTokens.
func RefreshRows() []Row {
	refreshed := func(edit func(c map[string]any)) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) { l.Refreshed.Claims = edit }
	}
	set := func(name string, value any) func(*Provider, *Faults) {
		return refreshed(func(c map[string]any) { c[name] = value })
	}
	drop := func(names ...string) func(*Provider, *Faults) {
		return refreshed(func(c map[string]any) {
			for _, name := range names {
				delete(c, name)
			}
		})
	}
	rows := staged(AtRefresh, []Row{
		{ID: "C40", Name: "an ID token with the first nonce", Want: Accept},
		{ID: "C40", Name: "an ID token without nonce", Want: Accept, tell: drop("nonce")},
		{ID: "C40", Name: "no ID token", Want: Accept, tell: func(_ *Provider, l *Faults) {
			// The first response still has one: When counts hits.
			l.At(Token).When = func(hit int) bool { return hit > 1 }
			l.At(Token).Body = withoutIDToken
		}, Note: "Core section 12.2 does not promise one; for the provider's first two hits"},
		{ID: "C41", Name: "another iss", Want: Refuse, tell: refreshed(func(c map[string]any) { c["iss"] = c["iss"].(string) + "1" })},
		{ID: "C42", Name: "another sub", Want: Refuse, tell: set("sub", "u-1002")},
		{ID: "S17", Name: "no sub", Want: Refuse, tell: drop("sub")},
		{ID: "S17", Name: "another aud", Want: Refuse, tell: set("aud", "another")},
		{ID: "S17", Name: "azp where there was none", Want: Refuse, tell: set("azp", "another")},
		{ID: "S17", Name: "another nonce", Want: Refuse, tell: set("nonce", "another")},
		{ID: "S17", Name: "an earlier auth_time", Want: Refuse, tell: refreshed(func(c map[string]any) {
			c["auth_time"] = c["auth_time"].(int64) - 100
		})},
		{ID: "S17", Name: "a later auth_time", Want: Accept, tell: refreshed(func(c map[string]any) {
			c["auth_time"] = c["auth_time"].(int64) + 100
		}), Note: "the user has signed in again elsewhere (report A1)"},
		{ID: "S17", Name: "another acr, amr and sid", Want: Accept, tell: refreshed(func(c map[string]any) {
			c["acr"], c["amr"], c["sid"] = "urn:other", []string{"otp"}, "another"
		})},
		{ID: "S17", Name: "no auth_time", Want: Accept, tell: drop("auth_time"), Note: "it may be left out"},
		{ID: "S17", Name: "exp is past", Want: Refuse, tell: refreshed(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 600 })},
		{ID: "S17", Name: "no iat", Want: Refuse, tell: drop("iat")},
		{ID: "S17", Name: "a broken signature", Want: Refuse, tell: func(_ *Provider, l *Faults) { l.Refreshed.Signature = SignCorruptly }},
		{ID: "S17", Name: "alg none", Want: Refuse, tell: func(_ *Provider, l *Faults) { l.Refreshed.Alg = "none" }},
	})
	for i := range rows {
		rows[i].Options = []Option{RefreshTokens()}
	}
	return rows
}

// LogoutRow is a logout token that a test creates with Provider.LogoutToken and
// posts to the back-channel logout endpoint. Refuse means status 400, and
// Accept 200.
type LogoutRow struct {
	ID, Name     string
	Want         Verdict
	NoSub, NoSID bool
	Lies         JWTLies
	Note         string
}

// LogoutRows returns the rows about logout tokens. Reuse of a token is not
// among them; that is up to the test.
func LogoutRows() []LogoutRow {
	edit := func(f func(c map[string]any)) JWTLies { return JWTLies{Claims: f} }
	set := func(name string, value any) JWTLies { return edit(func(c map[string]any) { c[name] = value }) }
	drop := func(name string) JWTLies { return edit(func(c map[string]any) { delete(c, name) }) }
	more := func(name string) JWTLies {
		return edit(func(c map[string]any) { c[name] = c[name].(string) + "INVALID" })
	}
	typ := func(value any) JWTLies { return JWTLies{Header: func(h map[string]any) { h["typ"] = value }} }
	return []LogoutRow{
		{ID: "C53", Name: "with sub and sid", Want: Accept},
		{ID: "C53", Name: "with sid alone", Want: Accept, NoSub: true},
		{ID: "C53", Name: "with sub alone", Want: Accept, NoSID: true},
		{ID: "C53", Name: "with an unknown claim", Want: Accept, Lies: set("urn:x", 1)},
		{ID: "C54", Name: "alg none", Want: Refuse, Lies: JWTLies{Alg: "none"}},
		{ID: "C55", Name: "no events", Want: Refuse, Lies: drop("events")},
		{ID: "C56", Name: "a nonce", Want: Refuse, Lies: set("nonce", "n")},
		{ID: "C56", Name: "a nonce that is null", Want: Either, Lies: set("nonce", nil)},
		{ID: "C57", Name: "ES256 by a published key", Want: Refuse, Lies: JWTLies{Alg: "ES256"}},
		{ID: "C58", Name: "another aud", Want: Refuse, Lies: more("aud")},
		{ID: "C59", Name: "another event", Want: Refuse, Lies: set("events", map[string]any{BackchannelEvent + "INVALID": map[string]any{}})},
		{ID: "C60", Name: "another iss", Want: Refuse, Lies: more("iss")},
		{ID: "S21", Name: "neither sub nor sid", Want: Refuse, NoSub: true, NoSID: true},
		{ID: "S21", Name: "no iss", Want: Refuse, Lies: drop("iss")},
		{ID: "S21", Name: "no aud", Want: Refuse, Lies: drop("aud")},
		{ID: "S21", Name: "no iat", Want: Refuse, Lies: drop("iat")},
		{ID: "S21", Name: "no jti", Want: Refuse, Lies: drop("jti")},
		{ID: "S21", Name: "no exp", Want: Accept, Lies: drop("exp"), Note: "older providers send none"},
		{ID: "S21", Name: "exp is past", Want: Refuse, Lies: edit(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 600 })},
		{ID: "S21", Name: "iat is an hour ahead", Want: Refuse, Lies: edit(func(c map[string]any) { c["iat"] = c["iat"].(int64) + 3600 })},
		{ID: "S21", Name: "events is a list", Want: Refuse, Lies: set("events", []string{BackchannelEvent})},
		{ID: "S21", Name: "the event is no object", Want: Refuse, Lies: set("events", map[string]any{BackchannelEvent: 1})},
		{ID: "S21", Name: "typ is JWT", Want: Either, Lies: typ("JWT"), Note: "older providers send it"},
		{ID: "S21", Name: "typ is at+jwt", Want: Refuse, Lies: typ("at+jwt")},
		{ID: "S21", Name: "a broken signature", Want: Refuse, Lies: JWTLies{Signature: SignCorruptly}},
		{ID: "S21", Name: "the signature of another key", Want: Refuse, Lies: JWTLies{Signature: SignWithWrongKey}},
		{ID: "S21", Name: "HS256 with the client secret", Want: Refuse, Lies: JWTLies{Alg: "HS256"}},
	}
}

// withoutIDToken removes the ID token from an encoded token response.
func withoutIDToken(object []byte) []byte {
	var response map[string]any
	if json.Unmarshal(object, &response) != nil {
		return object
	}
	delete(response, "id_token")
	b, err := json.Marshal(response)
	if err != nil {
		return object
	}
	return b
}
