package oidctest

import (
	"net/url"
	"strings"
)

// authorizationRows returns the rows about authorization responses: iss (RFC
// 9207), state, error responses, and unknown and repeated parameters (RFC 6749,
// section 3.1).
func authorizationRows() []Row {
	params := func(edit func(p *Provider, q url.Values)) func(*Provider, *Faults) {
		return func(p *Provider, l *Faults) {
			l.Authorization.Params = func(q url.Values) { edit(p, q) }
		}
	}
	set := func(name, value string) func(*Provider, *Faults) {
		return params(func(_ *Provider, q url.Values) { q.Set(name, value) })
	}
	drop := func(name string) func(*Provider, *Faults) {
		return params(func(_ *Provider, q url.Values) { q.Del(name) })
	}
	extend := func(name, suffix string) func(*Provider, *Faults) {
		return params(func(_ *Provider, q url.Values) { q.Set(name, q.Get(name)+suffix) })
	}
	twice := func(name string) func(*Provider, *Faults) {
		return params(func(_ *Provider, q url.Values) { q.Add(name, q.Get(name)) })
	}
	failed := func(code, description, uri string) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Authorization.Error, l.Authorization.Description, l.Authorization.ErrorURI = code, description, uri
		}
	}
	return staged(AtAuthorization, []Row{
		{ID: "F15", Name: "a wrong iss", Want: Refuse, tell: set("iss", "https://evil.test")},
		{ID: "S04", Name: "iss with a slash more", Want: Refuse, tell: extend("iss", "/")},
		{ID: "S04", Name: "iss in capitals", Want: Refuse, tell: params(func(_ *Provider, q url.Values) {
			q.Set("iss", strings.ToUpper(q.Get("iss")))
		})},
		{ID: "S04", Name: "an empty iss", Want: Refuse, tell: set("iss", "")},
		{ID: "F16", Name: "no iss though it was promised", Want: Refuse, tell: drop("iss")},
		{ID: "S04", Name: "iss twice", Want: Refuse, tell: twice("iss")},
		{ID: "S04", Name: "iss right though not promised", Want: Accept, Options: []Option{NoIss()},
			tell: params(func(p *Provider, q url.Values) { q.Set("iss", p.issuer) })},
		{ID: "S04", Name: "iss wrong though not promised", Want: Refuse, Options: []Option{NoIss()},
			tell: set("iss", "https://evil.test")},
		{ID: "F17", Name: "another state", Want: Refuse, tell: extend("state", "_INVALID")},
		{ID: "F18", Name: "no state", Want: Refuse, tell: drop("state")},
		{ID: "F18", Name: "an empty state", Want: Refuse, tell: set("state", "")},
		{ID: "S06", Name: "unknown parameters", Want: Accept, tell: params(func(_ *Provider, q url.Values) {
			q.Set("session_state", "abc.def")
			q.Set("scope", "openid")
			q.Set("authuser", "0")
			q.Set("hd", "example.com")
			q.Set("prompt", "none")
		})},
		{ID: "S06", Name: "an unknown parameter twice", Want: Either, tell: params(func(_ *Provider, q url.Values) {
			q["x"] = []string{"1", "2"}
		})},
		{ID: "C00", Name: "state twice", Want: Refuse, tell: twice("state")},
		{ID: "C00", Name: "code twice", Want: Refuse, tell: twice("code")},
		{ID: "C00", Name: "two different codes", Want: Refuse, tell: params(func(_ *Provider, q url.Values) {
			q.Add("code", "another")
		})},
		{ID: "C00", Name: "neither code nor error", Want: Refuse, tell: drop("code")},
		{ID: "C00", Name: "an empty code", Want: Refuse, tell: set("code", "")},
		{ID: "C00", Name: "code and error", Want: Refuse, tell: set("error", "access_denied")},
		{ID: "S07", Name: "the user said no", Want: Refuse, tell: failed("access_denied", "", "")},
		{ID: "S07", Name: "the provider has failed", Want: Refuse, tell: failed("server_error", "try later", "")},
		{ID: "S07", Name: "the user must sign in", Want: Refuse, tell: failed("login_required", "", "")},
		{ID: "S07", Name: "an unknown error", Want: Refuse, tell: failed("<b>odd</b>", "", "")},
		{ID: "S07", Name: "a description that is HTML", Want: Refuse,
			tell: failed("access_denied", `<script>alert("canary")</script>`, "javascript:alert(1)"), Note: "none of it is on the page"},
		{ID: "S07", Name: "an error without state", Want: Refuse, tell: func(p *Provider, l *Faults) {
			failed("access_denied", "", "")(p, l)
			drop("state")(p, l)
		}},
		{ID: "S04", Name: "an error without the iss that was promised", Want: Refuse, tell: func(p *Provider, l *Faults) {
			failed("access_denied", "", "")(p, l)
			drop("iss")(p, l)
		}},
		{ID: "C00", Name: "a query that is no form", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.Authorization.Query = func(string) string { return "code=%zz&state=%" }
		}},
		{ID: "C00", Name: "parameters parted by a semicolon", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.Authorization.Query = func(q string) string { return strings.ReplaceAll(q, "&", ";") }
		}},
		{ID: "C00", Name: "a code that was never issued", Want: Refuse, Stage: AtToken, tell: extend("code", "x"),
			Note: "the provider refuses it, and records C00i"},
	})
}
