package oidctest

import (
	"encoding/json"
	"net/url"
)

// tokenRows returns the rows about the token response, and about at_hash.
func tokenRows() []Row {
	set := func(name string, value any) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Token = func(r map[string]any) { r[name] = value }
		}
	}
	drop := func(name string) func(*Provider, *Faults) {
		return func(_ *Provider, l *Faults) {
			l.Token = func(r map[string]any) { delete(r, name) }
		}
	}
	status := func(code int) func(*Provider, *Faults) { return fault(Token, Fault{Status: code}) }
	return staged(AtToken, []Row{
		{ID: "S08", Name: "no id_token", Want: Refuse, tell: drop("id_token")},
		{ID: "S08", Name: "id_token is null", Want: Refuse, tell: set("id_token", nil)},
		{ID: "S08", Name: "id_token is empty", Want: Refuse, tell: set("id_token", "")},
		{ID: "S08", Name: "id_token is a number", Want: Refuse, tell: set("id_token", 7)},
		{ID: "S08", Name: "id_token is a list", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.Token = func(r map[string]any) { r["id_token"] = []any{r["id_token"]} }
		}},
		{ID: "S08", Name: "id_token is its claims", Want: Refuse, tell: set("id_token", map[string]any{"sub": "u-1001"})},
		{ID: "S08", Name: "no access_token", Want: Refuse, tell: drop("access_token")},
		{ID: "S08", Name: "access_token is empty", Want: Refuse, tell: set("access_token", "")},
		{ID: "S08", Name: "no token_type", Want: Refuse, tell: drop("token_type"), Note: "RFC 6749 section 5.1: required"},
		{ID: "S08", Name: "token_type is another", Want: Refuse, tell: set("token_type", "mac")},
		{ID: "S08", Name: "token_type is a number", Want: Refuse, tell: set("token_type", 1)},
		{ID: "F20", Name: "token_type in odd case", Want: Accept, tell: set("token_type", "bEARER")},
		{ID: "F19", Name: "no expires_in", Want: Accept, tell: drop("expires_in")},
		{ID: "S08", Name: "expires_in is a string", Want: Either, tell: set("expires_in", "600"), Note: "some providers do it"},
		{ID: "S08", Name: "expires_in is huge", Want: Either, tell: set("expires_in", json.RawMessage("1e300"))},
		{ID: "S08", Name: "expires_in is negative", Want: Either, tell: set("expires_in", -600)},
		{ID: "S08", Name: "no scope", Want: Accept, tell: drop("scope"), Note: "it is what was asked for, RFC 6749 section 5.1"},
		{ID: "S08", Name: "unknown members", Want: Accept, tell: set("ext", map[string]any{"a": 1})},
		{ID: "S08", Name: "the right answer with status 201", Want: Refuse, tell: status(201)},
		{ID: "S08", Name: "the right answer with status 400", Want: Refuse, tell: status(400)},
		{ID: "S08", Name: "the right answer with status 500", Want: Refuse, tell: status(500)},
		{ID: "S08", Name: "invalid_grant", Want: Refuse, tell: func(_ *Provider, l *Faults) {
			l.At(Token).Status = 400
			l.At(Token).Replace("application/json", `{"error":"invalid_grant","error_description":"<b>canary</b>"}`)
		}},
		{ID: "S08", Name: "an error with status 200", Want: Refuse, tell: body(Token, "application/json", `{"error":"invalid_grant"}`)},
		{ID: "S08", Name: "an error beside the tokens", Want: Refuse, tell: set("error", "server_error")},
		{ID: "S08", Name: "a list", Want: Refuse, tell: fault(Token, Fault{Body: func(b []byte) []byte {
			return append(append([]byte{'['}, b...), ']')
		}})},
		{ID: "S08", Name: "null", Want: Refuse, tell: body(Token, "application/json", "null")},
		{ID: "S08", Name: "an empty document", Want: Refuse, tell: body(Token, "application/json", "")},
		{ID: "S08", Name: "two documents", Want: Refuse, tell: fault(Token, Fault{Body: func(b []byte) []byte {
			return append(b, []byte(`{"id_token":"x"}`)...)
		}})},
		{ID: "S08", Name: "a form and not JSON", Want: Refuse, tell: fault(Token, Fault{
			ContentType: "application/x-www-form-urlencoded", Body: formEncoded})},
		{ID: "S08", Name: "HTML", Want: Refuse, tell: body(Token, "text/html", "<p>canary</p>"), Note: "none of it is on the page"},
		{ID: "X21", Name: "JSON called HTML", Want: Either, tell: fault(Token, Fault{ContentType: "text/html"}),
			Note: "accepted with a warning"},
		{ID: "S08", Name: "id_token twice, nonsense at last", Want: Refuse, tell: fault(Token, Fault{Body: member(`"id_token":"x.y.z"`, false)})},
		{ID: "S08", Name: "ID_TOKEN beside id_token", Want: Either, tell: fault(Token, Fault{Body: member(`"ID_TOKEN":"x.y.z"`, false)}),
			Note: "another member: ignored, or refused"},
		{ID: "S12", Name: "at_hash of another token", Want: Refuse, Stage: AtIDToken,
			tell: claim("at_hash", accessHash("RS256", "another"))},
		{ID: "S12", Name: "at_hash is a number", Want: Refuse, Stage: AtIDToken, tell: claim("at_hash", 7)},
		{ID: "S12", Name: "the access token is not that of at_hash", Want: Refuse, Stage: AtIDToken, tell: set("access_token", "another")},
		{ID: "S12", Name: "no at_hash", Want: Accept, Stage: AtIDToken, tell: without("at_hash")},
	})
}

// formEncoded converts a token response to a form, as some providers sent it
// before OAuth 2.0 was final.
func formEncoded(object []byte) []byte {
	var members map[string]any
	_ = json.Unmarshal(object, &members)
	form := url.Values{}
	for name, value := range members {
		if s, ok := value.(string); ok {
			form.Set(name, s)
		}
	}
	return []byte(form.Encode())
}
