package ruleconfig

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// A JSON rule has one kind and does not change in a round trip.
func FuzzRuleJSON(f *testing.F) {
	for _, text := range []string{
		`{"any_user":true}`, `{"group":["a"]}`, `{"claim":{"path":"a.b","values":["1"]}}`, `{"max_age":"5m"}`, `{"max_age":300000000000}`, `{"any":[{"user":["x"]},{"any":[]}]}`, `{"expression":"claims.a == 1"}`, `{"profile":"p"}`,
		`{}`, `{"group":["a"],"user":["b"]}`, `{"Group":["a"]}`, `{"group":["a"],"group":["b"]}`, `{"claim":{"x":1}}`, `null`, `[]`, `{"any":[null]}`, `{"any":null}`, `{"group":null}`, `{"any_user":false}`, `{"group":["a"]} {}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Rule
		if json.Unmarshal(data, &r) != nil {
			return
		}
		kinds := 0
		for _, member := range members {
			if member(&r) != nil {
				kinds++
			}
		}
		if kinds > 1 {
			t.Errorf("%s: expected one kind, seen %d", data, kinds)
		}
		text, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("{}")) || bytes.Contains(text, []byte("null")) {
			return // a rule without a value, which is refused when it is resolved
		}
		var again Rule
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%s comes back as %s, %v", data, text, err)
		}
	})
}

// JSON can express every rule that a Caddyfile can.
func FuzzRuleCaddyfile(f *testing.F) {
	for _, text := range []string{
		"require group admins", "require any_user", "require claim level 1 2", "require any {\n\tgroup a\n\tuser b\n}", "require max_age 5m", "require expression claims.a == 1 && `x` in groups", "require profile p", "require", "require any {\n}", "require grup a", "require claim", "require any {\n\tany {\n\t\tgroup a\n\t}\n}", "require expression {\n\tclaims.a\n}", "require group \"\"",
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, deny bool) {
		d := caddyfile.NewTestDispenser(text)
		if !utf8.ValidString(text) || !d.Next() { // JSON cannot hold other bytes
			return
		}
		var rules []*Rule
		if ParseRule(d, &rules, deny) != nil {
			return
		}
		data, err := json.Marshal(rules)
		if err != nil {
			t.Fatal(err)
		}
		var again []*Rule
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, rules) {
			t.Errorf("%q: %s comes back as another rule, %v", text, data, err)
		}
	})
}
