package authz

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// shapeRules has a rule of each kind that reads one claim, the name of that claim, and
// the value that replaces admin in it.
var shapeRules = []struct{ rule, claim, value string }{
	{"claim c admin", "c", "admin"},
	{"group admin", "groups", "admin"},
	{"user admin", "preferred_username", "admin"},
	{"tenant admin", "tid", "admin"},
	{"acr admin", "acr", "admin"},
	{"amr admin", "amr", "admin"},
	{"email_domain corp.example", "email", "a@corp.example"},
}

// shapes has forms of a claim, and the kinds of rules that they satisfy. Numbers, and
// texts that look like other values, are tested in package claims.
const shapes = `
"admin"                      claim group user tenant acr amr email_domain
"Admin"
"ADMIN"
"admin "
" admin"                     email_domain
"admins"
"аdmin"
"ａdmin"
"admi\u006e"                 claim group user tenant acr amr
"admin\u0000"
"admin\u200b"
"ad,min"
"admin,staff"
""
" "
"0"
"00"
"0.0"
"false"
"False"
"FALSE"
"true"
"True"
"null"
"1"
"01"
"1.0"
"1e0"
"[]"
"{}"
"[\"admin\"]"
true
false
null
0
-0
0.0
0e5
0e999999999999
1
1.0
1e0
1E0
1E+0
10e-1
0.1e1
100e-2
-1
1.5
1.50
15e-1
42
42.0
4.2e1
420e-1
1e3
1000
9007199254740992
9007199254740993
9007199254740993.0
-9007199254740993
18446744073709551616
18446744073709551617
0.1
0.10000000000000001
1e400
10e399
1e-400
1e99999999999
[]
[""]
[null]
[false,0,"","0","false",[]]
[[]]
[[""]]
[{}]
["admin"]                    claim group amr
["staff","admin"]            claim group amr
["staff","staff"]
["admin",null]               claim
[null,"admin"]               claim
["","admin"]                 claim group amr
["admin",["staff"]]          claim
["admin",{"name":"staff"}]   claim
[["admin"]]
[["admin"],["staff"]]
[{"name":"admin"}]
[1,2]
[1.0]
["1"]
[true]
[false]
[false,true]
[0]
[0,1]
["0","1"]
["false","a"]
{}
{"admin":true}
{"admin":false}
{"name":"admin"}
{"a":"admin","a":"staff"}
{"0":"admin"}
{"":""}
`

func TestOddShapesOfClaims(t *testing.T) {
	t.Parallel()
	count := 0
	for line := range strings.Lines(strings.TrimSpace(shapes)) {
		shape, want, _ := strings.Cut(strings.TrimRight(line, "\n"), "  ")
		count++
		for _, r := range shapeRules {
			kind, _, _ := strings.Cut(r.rule, " ")
			holds := strings.Contains(" "+want+" ", " "+kind+" ")
			user, err := newUser(identity.Mapping{Provider: "corp"}, fmt.Sprintf(`{%q: %s, "email_verified": true}`, r.claim, strings.ReplaceAll(shape, "admin", r.value)))
			if err != nil {
				if holds {
					t.Errorf("%s: %s: expected a session, seen %v", r.rule, shape, err)
				}
				continue
			}
			subject := &Subject{User: user, Now: now}
			if got := verdictOf(setOf(t, "require "+r.rule), subject); (got == "in") != holds {
				t.Errorf("require %s: %s: expected that it holds %v, seen %s", r.rule, shape, holds, got)
			}
			if kinds[kind].deny && holds && verdictOf(setOf(t, "deny "+r.rule), subject) == "in" {
				t.Errorf("deny %s: %s: expected that the user is refused, seen that they are not", r.rule, shape)
			}
		}
	}
	if count < 100 {
		t.Errorf("expected at least 100 shapes, seen %d", count)
	}
}

// auth_time counts only as a number of seconds, in any notation.
func TestOddShapesOfAuthTime(t *testing.T) {
	t.Parallel()
	seconds := fmt.Sprint(now.Unix())
	recent := map[string]bool{seconds: true, seconds + ".0": true, seconds + ".0e0": true}
	all := []string{seconds, seconds + ".0", seconds + ".0e0", seconds + ".75", `"` + seconds + `"`, "[" + seconds + "]", "-" + seconds, seconds + "000"}
	for line := range strings.Lines(strings.TrimSpace(shapes)) {
		shape, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "  ")
		all = append(all, strings.ReplaceAll(shape, "admin", seconds))
	}
	set := setOf(t, "require max_age 15m")
	for _, shape := range all {
		user, err := newUser(identity.Mapping{Provider: "corp"}, fmt.Sprintf(`{"auth_time": %s}`, shape))
		holds := err == nil && verdictOf(set, &Subject{User: user, Now: now}) == "in"
		if holds != recent[shape] {
			t.Errorf("auth_time %s: expected that the sign-in is recent %v, seen %v", shape, recent[shape], holds)
		}
	}
}
