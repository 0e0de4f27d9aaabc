package authz

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

var errProgram = errors.New("no such key")

// kindRows has a rule, the claims of the ID token, and the results of require and deny:
// whether the user gets in. A dash means that deny does not support the kind.
const kindRows = `
any_user                     {}                                                   in    -

group admins                 {"groups": ["admins"]}                               in    out
group admins                 {"groups": ["staff", "admins"]}                      in    out
group admins staff           {"groups": ["staff"]}                                in    out
group admins                 {"groups": "admins"}                                 in    out
group admins                 {"groups": ["staff"]}                                out   in
group admins                 {"groups": ["Admins"]}                               out   in
group admins                 {"groups": ["admins "]}                              out   in
group admins                 {"groups": ["аdmins"]}                               out   in
group admins                 {"groups": []}                                       out   in
group admins                 {"groups": null}                                     out   in
group admins                 {"groups": {"admins": true}}                         out   out
group admins                 {"groups": [["admins"]]}                             out   out
group admins                 {"groups": 7}                                        out   out
group admins                 {"groups": [{"name": "admins"}]}                     out   out
group admins                 {}                                                   out   in
group 7                      {"groups": [7]}                                      in    out
group admins                 {"_claim_names": {"groups": "src1"}}                 out   out
group admins                 {"hasgroups": true}                                  out   out

claim level 3                {"level": 3}                                         in    out
claim level 3                {"level": 3.0}                                       in    out
claim level 3                {"level": "3"}                                       in    out
claim level 3                {"level": "3.0"}                                     out   in
claim level 0                {"level": 0.0}                                       in    out
claim level 1 2 3            {"level": 2}                                         in    out
claim level 3                {"level": [1, 3]}                                    in    out
claim level 3                {"level": [[3]]}                                     out   in
claim level 3                {"level": null}                                      out   in
claim level 3                {}                                                   out   in
claim level 3                {"Level": 3}                                         out   in
claim level 9007199254740993  {"level": 9007199254740992}                          out   in
claim staff true             {"staff": true}                                      in    out
claim staff true             {"staff": "true"}                                    in    out
claim staff                  {"staff": true}                                      in    out
claim staff                  {"staff": "yes"}                                     in    out
claim staff                  {"staff": false}                                     out   in
claim staff                  {"staff": "false"}                                   out   in
claim staff                  {"staff": "0"}                                       out   in
claim staff                  {"staff": ""}                                        out   in
claim staff                  {"staff": [false, 0]}                                out   in
claim staff                  {}                                                   out   in
claim org.unit ops           {"org": {"unit": "ops"}}                             in    out
claim org.unit ops           {"org.unit": "ops"}                                  in    out
claim org.unit ops           {"org": {"unit": {"x": "ops"}}}                      out   in
claim org.unit ops           {"org": "ops"}                                       out   in
claim claims.level 3         {"level": 3}                                         in    out
claim groups admins          {"groups": ["admins"]}                               in    out
claim email a@corp.example   {"email": "a@corp.example", "email_verified": true}  in    out
claim email a@corp.example   {"email": "a@corp.example"}                          out   in
claim sub u-1                {}                                                   in    out

user alice                   {}                                                   in    out
user bob alice               {}                                                   in    out
user Alice                   {}                                                   out   in
user alice                   {"preferred_username": "alice "}                     out   in
user alice%20                {"preferred_username": "alice "}                     in    out
user a%2Fb                   {"preferred_username": "a/b"}                        in    out
user a/b                     {"preferred_username": "a/b"}                        out   in

email_domain corp.example    {"email": "a@corp.example", "email_verified": true}    in    out
email_domain CORP.example    {"email": "a@corp.example", "email_verified": true}    in    out
email_domain corp.example    {"email": "a@CORP.Example", "email_verified": "true"}  in    out
email_domain corp.example    {"email": "a@corp.example"}                            out   in
email_domain corp.example    {"email": "a@corp.example", "email_verified": false}   out   in
email_domain corp.example    {"email": "a@corp.example", "email_verified": 1}       out   in
email_domain corp.example    {"email": "a@b@corp.example", "email_verified": true}  out   in
email_domain corp.example    {"email": "@corp.example", "email_verified": true}     out   in
email_domain corp.example    {"email": "corp.example", "email_verified": true}      out   in
email_domain corp.example    {"email": "a@x.corp.example", "email_verified": true}  out   in
email_domain corp.example    {"email": "a@corp.example.", "email_verified": true}   out   in
email_domain corp.example    {"email": "a@xcorp.example", "email_verified": true}   out   in
email_domain corp.example    {"email": "a@corp.exampIe", "email_verified": true}    out   in
email_domain corp.example    {"email": "a@corp。example", "email_verified": true}    out   in
email_domain corp.example    {"email": ["a@corp.example"], "email_verified": true}  out   in

provider corp                {}                                                   in    out
provider other               {}                                                   out   in

tenant t-1                   {"tid": "t-1"}                                       in    out
tenant t-1                   {"tid": "t-2"}                                       out   in
tenant t-1                   {"tid": ["t-1"]}                                     out   in
tenant t-1                   {}                                                   out   in

acr gold                     {"acr": "gold"}                                      in    -
acr silver gold              {"acr": "gold"}                                      in    -
acr gold                     {"acrs": ["c1", "gold"]}                             in    -
acr gold                     {"acr": "Gold"}                                      out   -
acr gold                     {"acr": ""}                                          out   -
acr gold                     {}                                                   out   -

amr mfa                      {"amr": ["pwd", "mfa"]}                              in    -
amr mfa                      {"amr": "mfa"}                                       in    -
amr mfa                      {"amr": ["pwd"]}                                     out   -
amr mfa                      {"amr": [["mfa"]]}                                   out   -
amr mfa                      {}                                                   out   -

max_age 15m                  {"auth_time": NOW-0}                                 in    -
max_age 15m                  {"auth_time": NOW-900}                               in    -
max_age 15m                  {"auth_time": NOW-959}                               in    -
max_age 15m                  {"auth_time": NOW-960}                               in    -
max_age 15m                  {"auth_time": NOW-961}                               out   -
max_age 15m                  {"auth_time": NOW+59}                                in    -
max_age 15m                  {"auth_time": NOW+61}                                out   -
max_age 15m                  {"auth_time": 0}                                     out   -
max_age 15m                  {}                                                   out   -

scope profile                {}                                                   in    -
scope email                  {}                                                   out   -

expression true              {}                                                   in    out
expression false             {}                                                   out   in
expression true,false        {}                                                   out   out
expression error             {}                                                   out   out
expression true,error        {}                                                   out   out

any { group a; group b }     {"groups": ["b"]}                                    in    -
any { group a; group b }     {"groups": ["c"]}                                    out   -
any { expression error; group b } {"groups": ["b"]}                               in    -
any { expression error; group b } {}                                              out   -
any { acr gold; group b }    {"acr": "gold"}                                      in    -
`

func TestKindsOfRules(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(strings.TrimSpace(kindRows)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		words := strings.Fields(line)
		require, deny := words[len(words)-2], words[len(words)-1]
		// The claims are the JSON object at the end of the rest.
		rest := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.TrimSuffix(line, deny)), require))
		begin := strings.Index(rest, "  {")
		if begin < 0 {
			begin = strings.Index(rest, "} {") + 1
		}
		rule, claims := strings.TrimSpace(rest[:begin]), strings.TrimSpace(rest[begin:])
		claims = timesIn(claims)
		t.Run(rule+" "+claims, func(t *testing.T) {
			t.Parallel()
			user := userOf(t, claims)
			subject := &Subject{User: user, Now: now, Skew: 60e9}
			if got := verdictOf(setOf(t, "require "+rule), subject); got != require {
				t.Errorf("require %s: expected %s, seen %s", rule, require, got)
			}
			if deny == "-" {
				if _, err := Compile(nil, linesOf(t, "deny "+rule)); err == nil {
					t.Errorf("expected deny not to take %s, seen that it does", rule)
				}
				return
			}
			if got := verdictOf(setOf(t, "deny "+rule), subject); got != deny {
				t.Errorf("deny %s: expected %s, seen %s", rule, deny, got)
			}
		})
	}
}

// timesIn replaces NOW-n and NOW+n.
func timesIn(claims string) string {
	i := strings.Index(claims, "NOW")
	if i < 0 {
		return claims
	}
	var offset int64
	if _, err := fmt.Sscanf(claims[i+3:], "%d", &offset); err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"auth_time": %d}`, now.Unix()+offset)
}

func verdictOf(set *Set, s *Subject) string {
	if Evaluate([]*Set{set}, s, nil).Allowed() {
		return "in"
	}
	return "out"
}

// A claim that could not be fetched does not count as absent.
func TestDenyRefusesIfUserinfoFailed(t *testing.T) {
	t.Parallel()
	m := identity.Mapping{Provider: "corp", Usernames: []string{"sub"}, Groups: "groups"}
	for _, lost := range []bool{false, true} {
		needs := setOf(t, `
			deny claim contractor
			deny group externals
			deny email_domain partner.example
		`).Needs()
		user := lostUser(t, &m, needs, lost)
		for _, rule := range []string{"deny claim contractor", "deny group externals", "deny email_domain partner.example"} {
			got := Evaluate([]*Set{setOf(t, rule)}, &Subject{User: user, Now: now}, nil).Allowed()
			if got == lost {
				t.Errorf("%s, userinfo failed %v: expected allowed %v, seen %v", rule, lost, !lost, got)
			}
		}
	}
}

// Groups, addresses and names of one provider do not satisfy rules about another's.
func TestProvidersDoNotMix(t *testing.T) {
	t.Parallel()
	const claims = `{"preferred_username": "boss", "groups": ["admins", "corp/admins"], "email": "boss@corp.example", "email_verified": true}`
	ours := userOfProvider(t, identity.Mapping{Provider: "corp"}, claims)
	theirs := userOfProvider(t, identity.Mapping{Provider: "partner"}, claims)
	ours.Several, theirs.Several, theirs.Prefixed = true, true, true
	for rule, want := range map[string][2]string{
		"group admins":              {"in", "out"},
		"group corp/admins":         {"out", "out"},
		"group partner/admins":      {"out", "in"},
		"user boss":                 {"in", "out"},
		"user partner/boss":         {"out", "in"},
		"email_domain corp.example": {"in", "out"},
		"provider corp":             {"in", "out"},
		"provider partner":          {"out", "in"},
	} {
		set := setOf(t, "require "+rule)
		got := [2]string{verdictOf(set, &Subject{User: ours, Now: now}), verdictOf(set, &Subject{User: theirs, Now: now})}
		if got != want {
			t.Errorf("%s: expected %v for the users of both providers, seen %v", rule, want, got)
		}
	}
}
