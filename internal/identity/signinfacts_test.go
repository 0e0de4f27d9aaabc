package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// factsOf formats the facts of a user's sign-in.
func factsOf(u User) string {
	return strings.TrimSpace(fmt.Sprintf("acr=%v amr=%v scopes=%v tenant=%s", u.ACR(), u.AMR(), u.Scopes(), u.Tenant()))
}

var allFacts = Needs{ACR: true, AMR: true, AuthTime: true, Tenant: true, Scopes: true}

func TestFactsOfASignIn(t *testing.T) {
	t.Parallel()
	const entra = `{"sub": "1", "tid": "` + oneTenant + `", "iss": "https://login.example.com/` + oneTenant + `/v2.0", "acrs": ["c1", "c2"], "amr": "pwd"}`
	for _, row := range []struct {
		name     string
		m        Mapping
		needs    Needs
		idToken  string
		userinfo string
		tokens   op.Tokens
		want     string
	}{
		{name: "all", needs: allFacts, idToken: `{"sub": "1", "acr": "gold", "amr": ["pwd", "otp"], "tid": "t"}`, want: "acr=[gold] amr=[pwd otp] scopes=[openid profile] tenant=t"},
		{name: "nothing that is not needed", needs: Needs{}, idToken: `{"sub": "1", "acr": "gold", "amr": ["pwd"], "tid": "t", "acrs": "c1"}`, want: "acr=[gold] amr=[] scopes=[] tenant="},
		{name: "acrs, and one method", needs: allFacts, idToken: entra, want: "acr=[c1 c2] amr=[pwd] scopes=[openid profile] tenant=" + oneTenant},
		{name: "one of acrs beside acr", needs: allFacts, idToken: `{"sub": "1", "acr": "1", "acrs": "c1"}`, want: "acr=[1 c1] amr=[] scopes=[openid profile] tenant="},
		{name: "several tenants", m: Mapping{Tenants: manyTenants}, needs: Needs{}, idToken: entra, want: "acr=[] amr=[] scopes=[] tenant=" + oneTenant},
		{name: "nothing of userinfo", needs: allFacts, idToken: `{"sub": "1"}`, userinfo: `{"acr": "gold", "acrs": "c1", "amr": ["otp"], "tid": "t"}`, want: "acr=[] amr=[] scopes=[openid profile] tenant="},
		{name: "nothing that the configuration makes", m: Mapping{Claims: map[string]string{"amr": "x", "tid": "x"}}, needs: allFacts, idToken: `{"sub": "1", "x": ["otp"]}`, want: "acr=[] amr=[] scopes=[openid profile] tenant="},
		{name: "odd forms", needs: allFacts, idToken: `{"sub": "1", "acrs": {"a": 1}, "amr": [["otp"]], "tid": 5}`, want: "acr=[] amr=[] scopes=[openid profile] tenant="},
		{name: "granted scopes", needs: allFacts, idToken: `{"sub": "1"}`, tokens: op.Tokens{Scope: "openid  read", ScopeSaid: true}, want: "acr=[] amr=[] scopes=[openid read] tenant="},
		{name: "granted scopes in an odd form", needs: allFacts, idToken: `{"sub": "1"}`, tokens: op.Tokens{ScopeSaid: true}, want: "acr=[] amr=[] scopes=[] tenant="},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.m.Usernames, row.m.Groups = []string{"sub"}, "groups"
			in := SignIn{Transaction: new(session.Transaction), Tokens: row.tokens, Sources: Sources{IDToken: members(t, row.idToken), Userinfo: members(t, row.userinfo)}, Scopes: []string{"openid", "profile"}}
			s, _, err := row.m.NewSession(Union(row.needs), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := factsOf(User{Mapping: &row.m, Session: s}); got != row.want {
				t.Errorf("expected %s, seen %s", row.want, got)
			}
		})
	}
	if got := factsOf(User{}); got != "acr=[] amr=[] scopes=[] tenant=" {
		t.Errorf("unauthenticated: expected nothing, seen %s", got)
	}
	if !(User{}).AuthTime().IsZero() {
		t.Error("unauthenticated: expected no auth_time, seen one")
	}
}

// A refreshed ID token can only remove facts of the sign-in, even if its claims replace
// those of the session.
func TestARefreshTakesFactsAway(t *testing.T) {
	t.Parallel()
	const facts = `{"\u0001acrs": ["c1", "c2"], "\u0001amr": ["pwd", "otp"], "\u0001scope": ["openid", "read"], "\u0001tenant": "t", "amr": ["old"]}`
	for _, row := range []struct {
		name    string
		idToken string // empty for none
		tokens  op.Tokens
		want    string
	}{
		{name: "no ID token", want: "acr=[gold c1 c2] amr=[pwd otp] scopes=[openid read] tenant=t"},
		{name: "the same", idToken: `{"acr": "gold", "acrs": ["c2", "c1"], "amr": ["otp", "pwd"], "tid": "t"}`, want: "acr=[gold c1 c2] amr=[pwd otp] scopes=[openid read] tenant=t"},
		{name: "more", idToken: `{"acr": "gold", "acrs": ["c1", "c2", "c3"], "amr": ["otp", "pwd", "hwk"], "tid": "t"}`, want: "acr=[gold c1 c2] amr=[pwd otp] scopes=[openid read] tenant=t"},
		{name: "less", idToken: `{"acr": "silver", "acrs": "c2", "amr": ["pwd"], "tid": "u"}`, want: "acr=[c2] amr=[pwd] scopes=[openid read] tenant="},
		{name: "nothing", idToken: `{}`, want: "acr=[] amr=[] scopes=[openid read] tenant="},
		{name: "other scopes", idToken: `{"acr": "gold"}`, tokens: op.Tokens{Scope: "openid", ScopeSaid: true}, want: "acr=[gold] amr=[] scopes=[openid] tenant="},
		{name: "no scopes", tokens: op.Tokens{ScopeSaid: true}, want: "acr=[gold c1 c2] amr=[pwd otp] scopes=[] tenant=t"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n, m := Union(allFacts), aliceMapping
			s := &session.Session{Username: "alice", ACR: "gold", Claims: set(t, facts)}
			idToken := members(t, row.idToken)
			ApplyTokens(n, s, row.tokens, idToken)
			if got := factsOf(User{Mapping: &m, Session: s}); got != row.want {
				t.Errorf("expected %s, seen %s", row.want, got)
			}
			if idToken == nil {
				return
			}
			if _, err := m.Replace(n, s, Sources{IDToken: idToken}); err != nil {
				t.Fatal(err)
			}
			if got := factsOf(User{Mapping: &m, Session: s}); got != row.want {
				t.Errorf("with the new claims: expected %s, seen %s", row.want, got)
			}
		})
	}
}

// A tenant that a refreshed ID token does not repeat is unknown.
func TestATenantThatIsLostIsUnknown(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, facts, idToken string
		want                 bool
	}{
		{"the same tenant", `{"\u0001tenant": "t"}`, `{"tid": "t"}`, false},
		{"another tenant", `{"\u0001tenant": "t"}`, `{"tid": "u"}`, true},
		{"no tenant", `{"\u0001tenant": "t"}`, `{}`, true},
		{"no tenant from the start", `{"\u0001amr": ["otp"]}`, `{}`, false},
		{"no new ID token", `{"\u0001tenant": "t"}`, ``, false},
	} {
		s := &session.Session{Claims: set(t, row.facts)}
		for range 2 {
			ApplyTokens(Union(allFacts), s, op.Tokens{}, members(t, row.idToken))
		}
		if got := (User{Mapping: new(Mapping), Session: s}).LostTenant(); got != row.want {
			t.Errorf("%s: expected a lost tenant %v, seen %v", row.name, row.want, got)
		}
	}
	if (User{}).LostTenant() {
		t.Error("unauthenticated: expected no lost tenant, seen one")
	}
}

// A session is outdated if its sign-in did not request a fact that a rule needs. So are
// sessions of earlier releases that lack the fact.
func TestFactsThatASessionLacks(t *testing.T) {
	t.Parallel()
	for name, needs := range map[string]Needs{"acr": {ACR: true}, "amr": {AMR: true}, "auth_time": {AuthTime: true}, "tenant": {Tenant: true}, "scopes": {Scopes: true}} {
		has := session.Session{Requested: Union().Names(), ACR: "gold", AuthTime: time.Unix(1700000000, 0), Claims: set(t, `{"\u0001amr": ["otp"], "\u0001tenant": "t", "\u0001scope": ["openid"]}`)}
		for _, row := range []struct {
			of   string
			s    session.Session
			want bool
		}{
			{"an earlier release", session.Session{}, true},
			{"a sign-in without the rule", session.Session{Requested: Union().Names()}, true},
			{"a sign-in with the rule", session.Session{Requested: Union(needs).Names()}, false},
			{"a sign-in that has it", has, false},
		} {
			if got := (User{Mapping: new(Mapping), Session: &row.s}).IsOutdated(&needs); got != row.want {
				t.Errorf("%s, a session of %s: expected outdated %v, seen %v", name, row.of, row.want, got)
			}
		}
	}
}

// Of two auth_time values the later one counts. If the first ID token had none, the
// time of the login is only a substitute, and any value of a refresh replaces it.
func TestWhichAuthTimeARefreshLeaves(t *testing.T) {
	t.Parallel()
	const login = 1_700_000_000
	said, none := session.Grant{RefreshToken: "r", AuthTime: login}, session.Grant{RefreshToken: "r"}
	for _, row := range []struct {
		name    string
		grant   session.Grant
		idToken string
		want    int64
	}{
		{"a later one", said, `{"auth_time": 1700000100}`, 1_700_000_100},
		{"an earlier one", said, `{"auth_time": 1600000000}`, login},
		{"none", said, `{}`, login},
		{"a later one, where the login stands for it", none, `{"auth_time": 1700000100}`, 1_700_000_100},
		{"an earlier one, where the login stands for it", none, `{"auth_time": 1600000000}`, 1_600_000_000},
		{"none, where the login stands for it", none, `{}`, login},
	} {
		s := &session.Session{AuthTime: time.Unix(login, 0), Grant: row.grant}
		ApplyTokens(Union(allFacts), s, op.Tokens{}, members(t, row.idToken))
		if got := s.AuthTime.Unix(); got != row.want {
			t.Errorf("%s: expected %d, seen %d", row.name, row.want, got)
		}
	}
}

// The mark of what a login demanded stays in its session, and is not a claim.
func TestASessionKnowsWhatItsLoginDemanded(t *testing.T) {
	t.Parallel()
	m := aliceMapping
	n := Union(Needs{KeepAll: true})
	s, _, err := m.NewSession(n, SignIn{
		Transaction: new(session.Transaction), Sources: Sources{IDToken: members(t, `{"sub": "1", "preferred_username": "alice"}`)},
		Asked: "mark", AuthTime: time.Unix(5, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Replace(n, s, Sources{IDToken: members(t, `{"sub": "1", "preferred_username": "alice"}`)}); err != nil {
		t.Fatal(err)
	}
	u := User{Mapping: &m, Session: s}
	if got := u.Asked(); got != "mark" {
		t.Errorf("expected the mark, seen %q", got)
	}
	if got := u.AuthTime().Unix(); got != 5 {
		t.Errorf("expected the auth_time that counts, seen %d", got)
	}
	if got := (User{}).Asked(); got != "" {
		t.Errorf("unauthenticated: expected no mark, seen %q", got)
	}
	if got, _ := u.Placeholder("http.auth.user.claims"); strings.Contains(fmt.Sprint(got), "mark") {
		t.Errorf("expected no claim, seen %v", got)
	}
}
