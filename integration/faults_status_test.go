package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// statuses are the wrong statuses of an endpoint.
var statuses = []int{301, 302, 303, 307, 308, 400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 504}

// badBodies are the bodies of such responses.
var badBodies = []struct{ name, contentType, text string }{
	{"HTML", "text/html", "<p>canary</p>"},
	{"JSON", "application/json", `{"error":"server_error","error_description":"canary"}`},
	{"nothing", "", ""},
}

// statusCase is an endpoint with a wrong status, and an action of a user that needs it.
type statusCase struct {
	name     string // as in docs/faults.md
	endpoint oidctest.Endpoint
	options  string
	more     []oidctest.Option
	// before runs while the provider is honest, and do while it is not.
	before func(r *harness, op *refreshOP) *browser
	do     func(b *browser) *visited
}

func anyBrowser(r *harness, _ *refreshOP) *browser { return r.browser() }

func opensPage(b *browser) *visited { return b.open("/page") }

// aSession returns a browser whose session has an access token that is about to expire.
func aSession(r *harness, op *refreshOP) *browser {
	b := signedIn(r.t, r)
	op.at(time.Duration(op.clock.by.Load())+due, r)
	return b
}

var statusCases = []statusCase{
	{"metadata", oidctest.Discovery, "", nil, anyBrowser, opensPage},
	{"pushed requests", oidctest.PushedRequest, "", []oidctest.Option{oidctest.PushedRequests()}, anyBrowser, opensPage},
	{"tokens, at a login", oidctest.Token, "", nil, anyBrowser, opensPage},
	{"keys", oidctest.JWKS, "", nil, anyBrowser, opensPage},
	{"userinfo that names the user", oidctest.UserInfo, "userinfo always", nil, anyBrowser, opensPage},
	{"userinfo that only a header needs", oidctest.UserInfo, `
		username_claim sub
		upstream {
			header X-Family family_name
		}`, nil, anyBrowser, opensPage},
	{"tokens, at a refresh", oidctest.Token, "upstream {\naccess_token\n}", nil, aSession, opensPage},
	{"userinfo, at a recheck", oidctest.UserInfo, "session {\nrecheck 5m\n}", nil, aSession, opensPage},
}

// outcome returns what a request ends with, in the words of docs/faults.md, if the endpoint has
// a wrong status.
func (c *statusCase) outcome(r *harness, op *refreshOP, status int, body int) string {
	b := c.before(r, op)
	served, asked := r.upstream.count(), op.Hits(c.endpoint)
	logins := op.Hits(oidctest.Authorize)
	op.Lie(func(l *oidctest.Faults) {
		f := l.At(c.endpoint)
		f.Status = status
		f.Replace(badBodies[body].contentType, badBodies[body].text)
		if status < 400 {
			f.Header = func(h http.Header) { h.Set("Location", "/somewhere/else") }
		}
	})
	p := c.do(b)
	what := fmt.Sprintf("%s: status %d with %s", c.name, status, badBodies[body].name)
	check(r.t, p, what).hides("canary", "somewhere")
	atMost(r.t, what+": the number of requests", op.Hits(c.endpoint)-asked, 2)
	op.Honest()
	op.at(time.Duration(op.clock.by.Load())+2*time.Minute, r) // longer than any pause
	text := fmt.Sprint(p.StatusCode)
	switch code := shownCode(p); {
	case code != "":
		equal(r.t, what+": the number of requests at the application", r.upstream.count(), served)
		text += " `" + string(code) + "`"
	case op.Hits(oidctest.Authorize) > logins+1 || c.endpoint != oidctest.UserInfo && op.Hits(oidctest.Authorize) > logins:
		text += ", after another login"
	default:
		text += ", the page"
	}
	if p.Header.Get("Retry-After") != "" {
		text += " with `Retry-After`"
	}
	return text
}

// What users see depends on the status of the provider's response and not on its body.
// docs/faults.md has the table.
//
// See docs/faults.md, row F19.
func TestEveryStatusHasAnOutcome(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| the provider's | answers with status | a private page ends with |\n| --- | --- | --- |\n")
	for _, c := range statusCases {
		op := newRefreshOP(t, append(slices.Clone(c.more), oidctest.Lenient())...)
		r := newHarness(t, protectedBy(op.Provider, c.options))
		by := make(map[string][]string)
		var order []string
		for _, status := range statuses {
			first := ""
			for body := range badBodies {
				outcome := c.outcome(r, op, status, body)
				if body == 0 {
					first = outcome
				} else if outcome != first {
					t.Errorf("%s: status %d with %s: expected %q as with %s, seen %q", c.name, status, badBodies[body].name, first, badBodies[0].name, outcome)
				}
			}
			if by[first] == nil {
				order = append(order, first)
			}
			by[first] = append(by[first], fmt.Sprint(status))
		}
		for _, outcome := range order {
			statuses := "every other than 200"
			if len(order) > 1 {
				statuses = strings.Join(by[outcome], ", ")
			}
			fmt.Fprintf(&table, "| %s | %s | %s |\n", c.name, statuses, outcome)
		}
		for _, violation := range op.TakeViolations() {
			if strings.Contains(violation, "somewhere") {
				t.Errorf("%s: a redirect was followed: %s", c.name, violation)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "faults.md"))
	succeeds(required{t}, "docs/faults.md", err)
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/faults.md: expected this table, seen another one:\n%s", table.String())
	}
}
