package authz

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// decisions is the table for private addresses: who makes the request, the kind of
// request, and the decision for each value of the option unauthenticated.
//
// A preflight counts as such only if preflights pass. A failed page load is one whose
// query names a known error. A failed read is such a request that reads, but is not a
// page load.
const decisions = `
who              request            auto          redirect      deny
anonymous        preflight          pass          pass          pass
anonymous        page load          login         login         unauthorized
anonymous        failed page load   show error    show error    show error
anonymous        read               unauthorized  login         unauthorized
anonymous        failed read        unauthorized  unauthorized  unauthorized
anonymous        other              unauthorized  unauthorized  unauthorized
signed in        preflight          serve         serve         serve
signed in        page load          serve         serve         serve
signed in        failed page load   serve         serve         serve
signed in        read               serve         serve         serve
signed in        failed read        serve         serve         serve
signed in        other              serve         serve         serve
short of proof   preflight          pass          pass          pass
short of proof   page load          step-up       step-up       unauthorized
short of proof   failed page load   show error    show error    show error
short of proof   read               unauthorized  unauthorized  unauthorized
short of proof   failed read        unauthorized  unauthorized  unauthorized
short of proof   other              unauthorized  unauthorized  unauthorized
short of claims  preflight          pass          pass          pass
short of claims  page load          step-up       step-up       unauthorized
short of claims  failed page load   show error    show error    show error
short of claims  read               unauthorized  unauthorized  unauthorized
short of claims  failed read        unauthorized  unauthorized  unauthorized
short of claims  other              unauthorized  unauthorized  unauthorized
refused          preflight          pass          pass          pass
refused          page load          forbidden     forbidden     forbidden
refused          failed page load   forbidden     forbidden     forbidden
refused          read               forbidden     forbidden     forbidden
refused          failed read        forbidden     forbidden     forbidden
refused          other              forbidden     forbidden     forbidden
unproved         preflight          pass          pass          pass
unproved         page load          step-up       step-up       unauthorized
unproved         failed page load   show error    show error    show error
unproved         read               unauthorized  unauthorized  unauthorized
unproved         failed read        unauthorized  unauthorized  unauthorized
unproved         other              unauthorized  unauthorized  unauthorized
`

// publicDecisions is the table for public addresses, where the request makes no
// difference.
var publicDecisions = map[string]string{
	"anonymous": "serve", "signed in": "serve", "short of proof": "pass", "short of claims": "serve",
	"refused": "pass", "unproved": "pass",
}

var actionNames = map[Action]string{
	Serve: "serve", PassAnonymous: "pass", Login: "login", StepUp: "step-up", Unauthorized: "unauthorized", ShowError: "show error", Forbidden: "forbidden",
}

// who returns the name that the tables have for the user.
func who(f *Facts) string {
	switch {
	case !f.User.SignedIn():
		return "anonymous"
	case f.Shortfall == ShortOfProof && f.Outcome.Refused == nil, f.Shortfall == ShortOfBoth:
		return "short of proof"
	case f.Shortfall == ShortOfClaims && !(f.Policy.Public && !f.Outcome.Allowed()):
		return "short of claims"
	case f.Outcome.Refused != nil:
		return "refused"
	case f.Outcome.Unproved != nil:
		return "unproved"
	}
	return "signed in"
}

// requestOf returns the name that the tables have for the request.
func requestOf(f *Facts) string {
	failed := ""
	if f.Request.KnownError {
		failed = "failed "
	}
	switch {
	case f.Request.Preflight && f.Policy.PassPreflights:
		return "preflight"
	case f.Request.PageLoad:
		return failed + "page load"
	case f.Request.Read:
		return failed + "read"
	}
	return "other"
}

// rule stands for any rule.
var rule = new(Line)

// shortfalls are what a session can lack, combined with the results of rules. An
// outdated session may lack the claims that the rules need. A session that only proves
// too little has them.
var shortfalls = []struct {
	shortfall Shortfall
	outcome   Outcome
}{
	{Enough, Outcome{}}, {ShortOfProof, Outcome{}}, {ShortOfClaims, Outcome{}},
	{Enough, Outcome{Refused: rule}}, {Enough, Outcome{Unproved: rule}}, {Enough, Outcome{Refused: rule, Unproved: rule}},
	{ShortOfProof, Outcome{Refused: rule}}, {ShortOfClaims, Outcome{Refused: rule}}, {ShortOfClaims, Outcome{Unproved: rule}},
	{ShortOfBoth, Outcome{}}, {ShortOfBoth, Outcome{Refused: rule}}, {ShortOfProof, Outcome{Unproved: rule}},
}

// allFacts calls check with all combinations of facts, including those that no request
// has.
func allFacts(check func(f Facts)) {
	for bits := range 1 << 7 {
		bit := func(i int) bool { return bits&(1<<i) != 0 }
		for _, response := range []Unauthenticated{"", UnauthenticatedAuto, UnauthenticatedRedirect, UnauthenticatedDeny} {
			for _, row := range shortfalls {
				f := Facts{
					Shortfall: row.shortfall,
					Outcome:   row.outcome,
					Request:   Request{PageLoad: bit(0), Read: bit(1), Preflight: bit(2), KnownError: bit(3)},
					Policy:    Policy{Guarded: true, Public: bit(4), Unauthenticated: response, PassPreflights: bit(5)},
				}
				if bit(6) {
					f.User = identity.User{Session: new(session.Session)}
				}
				check(f)
			}
		}
	}
}

// table parses the table: who, request and option value to a decision.
func table(t *testing.T) map[[3]string]string {
	t.Helper()
	cells := make(map[[3]string]string)
	var head []string
	for line := range strings.Lines(strings.TrimSpace(decisions)) {
		row := []string{line[:17], line[17:36], line[36:50], line[50:64], line[64:]}
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if head == nil {
			head = row
			continue
		}
		for i, response := range head[2:] {
			cells[[3]string{row[0], row[1], response}] = row[i+2]
		}
	}
	return cells
}

func TestDecide(t *testing.T) {
	t.Parallel()
	cells, used := table(t), make(map[[3]string]bool)
	allFacts(func(f Facts) {
		response := string(f.Policy.Unauthenticated)
		if response == "" {
			response = "auto"
		}
		cell := [3]string{who(&f), requestOf(&f), response}
		want := cells[cell]
		if f.Policy.Public {
			want = publicDecisions[cell[0]]
		} else {
			used[cell] = true
		}
		if got := actionNames[Decide(&f).Action]; got != want {
			t.Errorf("%+v: expected %s, seen %s", f, want, got)
		}
	})
	if len(used) != len(cells) {
		t.Errorf("expected all %d cells of the table to be used, seen %d", len(cells), len(used))
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	user := identity.User{Session: new(session.Session)}
	for _, row := range []struct {
		name string
		f    Facts
		want Decision
	}{
		{"a public address", Facts{Policy: Policy{Public: true}}, Decision{Action: Serve, Reason: ReasonPublic}},
		{"a public address, with too little proof", Facts{User: user, Shortfall: ShortOfProof, Policy: Policy{Public: true}}, Decision{Action: PassAnonymous, Reason: ReasonShortOfProof}},
		{"signed in", Facts{User: user}, Decision{Action: Serve, Reason: ReasonSignedIn}},
		{"a preflight", Facts{Request: Request{Preflight: true}, Policy: Policy{PassPreflights: true}}, Decision{Action: PassAnonymous, Reason: ReasonPreflight}},
		{"a login that failed", Facts{Request: Request{PageLoad: true, Read: true, KnownError: true}}, Decision{Action: ShowError, Reason: ReasonKnownError}},
		{"an unauthenticated page load", Facts{Request: Request{PageLoad: true, Read: true}}, Decision{Action: Login, Reason: ReasonUnauthenticated}},
		{"an unauthenticated call", Facts{}, Decision{Action: Unauthorized, Reason: ReasonUnauthenticated}},
		{"a page load with too little proof", Facts{User: user, Shortfall: ShortOfProof, Request: Request{PageLoad: true, Read: true}}, Decision{Action: StepUp, Reason: ReasonShortOfProof}},
		{"a page load with too little proof of a user whom a rule refuses", Facts{User: user, Outcome: Outcome{Refused: rule}, Shortfall: ShortOfProof, Request: Request{PageLoad: true, Read: true}}, Decision{Forbidden, ReasonRefused, rule}},
		{"a page load with an outdated session that has too little proof", Facts{User: user, Outcome: Outcome{Refused: rule}, Shortfall: ShortOfBoth, Request: Request{PageLoad: true, Read: true}}, Decision{Action: StepUp, Reason: ReasonShortOfProof}},
		{"a public address, with an outdated session that has too little proof", Facts{User: user, Shortfall: ShortOfBoth, Policy: Policy{Public: true}}, Decision{Action: PassAnonymous, Reason: ReasonShortOfProof}},
		{"a page load with an outdated session", Facts{User: user, Shortfall: ShortOfClaims, Request: Request{PageLoad: true, Read: true}}, Decision{Action: StepUp, Reason: ReasonShortOfClaims}},
		{"a user whom a rule refuses", Facts{User: user, Outcome: Outcome{Refused: rule}}, Decision{Forbidden, ReasonRefused, rule}},
		{"a page load of a user whose sign-in a rule is not content with", Facts{User: user, Outcome: Outcome{Unproved: rule}, Request: Request{PageLoad: true, Read: true}}, Decision{StepUp, ReasonUnproved, rule}},
		{"a call of such a user", Facts{User: user, Outcome: Outcome{Unproved: rule}}, Decision{Unauthorized, ReasonUnproved, rule}},
		{"a public address with rules, with an outdated session", Facts{User: user, Shortfall: ShortOfClaims, Policy: Policy{Public: true, Rules: []*Set{new(Set)}}}, Decision{Action: PassAnonymous, Reason: ReasonShortOfClaims}},
		{"a public address, with a user whom a rule refuses", Facts{User: user, Outcome: Outcome{Refused: rule}, Policy: Policy{Public: true}}, Decision{PassAnonymous, ReasonRefused, rule}},
		{"a public address with matchers behind, with an outdated session", Facts{User: user, Shortfall: ShortOfClaims, Policy: Policy{Public: true, Matchers: true}}, Decision{Action: PassAnonymous, Reason: ReasonShortOfClaims}},
		{"an outdated session of a user whom a rule refuses", Facts{User: user, Outcome: Outcome{Refused: rule}, Shortfall: ShortOfClaims, Request: Request{PageLoad: true, Read: true}}, Decision{Action: StepUp, Reason: ReasonShortOfClaims}},
		{"a call with an outdated session", Facts{User: user, Shortfall: ShortOfClaims}, Decision{Action: Unauthorized, Reason: ReasonShortOfClaims}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := Decide(&row.f); got != row.want {
				t.Errorf("expected %+v, seen %+v", row.want, got)
			}
		})
	}
}

// A request that is not examined must not change the decision.
func TestDependsOnRequest(t *testing.T) {
	t.Parallel()
	allFacts(func(f Facts) {
		blind := f
		blind.Request = Request{}
		if !f.DependsOnRequest() && Decide(&f) != Decide(&blind) {
			t.Errorf("%+v: expected the decision not to depend on the request, seen %+v and %+v", f, Decide(&f), Decide(&blind))
		}
	})
}

func TestRestrict(t *testing.T) {
	t.Parallel()
	public := Policy{Guarded: true, Public: true, Unauthenticated: UnauthenticatedAuto}
	named := Policy{Guarded: true, Public: true, Named: true, Unauthenticated: UnauthenticatedAuto}
	redirect := Policy{Guarded: true, Unauthenticated: UnauthenticatedRedirect}
	deny := Policy{Guarded: true, Unauthenticated: UnauthenticatedDeny}
	instance, admins, staff := new(Set), new(Set), new(Set)
	ruled := func(sets ...*Set) Policy { return Policy{Guarded: true, Rules: sets} }
	publicRuled := Policy{Guarded: true, Public: true, Rules: []*Set{instance}}
	for _, row := range []struct {
		name     string
		readings []Policy
		want     Policy
	}{
		{"no reading is guarded", []Policy{{}, {}}, Policy{Public: true, Named: true}},
		{"one reading is guarded", []Policy{{}, redirect}, redirect},
		{"all are public", []Policy{public, public}, Policy{Guarded: true, Public: true}},
		{"a public route names all", []Policy{named, named}, Policy{Guarded: true, Public: true, Named: true}},
		{"a public route names one", []Policy{named, public}, Policy{Guarded: true, Public: true}},
		{"one is private", []Policy{named, redirect}, redirect},
		{"one is private, and comes first", []Policy{redirect, named}, redirect},
		{"the first private one counts", []Policy{redirect, {Guarded: true, Unauthenticated: UnauthenticatedAuto}}, redirect},
		{"deny counts most", []Policy{redirect, deny}, deny},
		{"deny counts most, and comes first", []Policy{deny, redirect}, deny},
		{"rules add up", []Policy{ruled(instance, admins), ruled(instance, staff)}, ruled(instance, admins, staff)},
		{"rules that are the same count once", []Policy{ruled(admins), ruled(admins)}, ruled(admins)},
		{"private rules come after those of a public address", []Policy{publicRuled, ruled(admins)}, ruled(admins)},
		{"private rules come before those of a public address", []Policy{ruled(admins), publicRuled}, ruled(admins)},
		{"public addresses keep the rules of the instance", []Policy{publicRuled, publicRuled}, publicRuled},
		{"no rules add nothing", []Policy{ruled(admins), ruled()}, ruled(admins)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := Policy{Public: true, Named: true}
			for _, reading := range row.readings {
				got.Restrict(reading)
			}
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("expected %+v, seen %+v", row.want, got)
			}
		})
	}
}
