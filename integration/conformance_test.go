package integration_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// testSite is a site of a harness with the address where a login begins. The sites of a harness
// share no knowledge of the provider, because the rows are about a relying party that has cached
// nothing.
type testSite struct {
	origin string
	start  string
	public bool
	site   string // additional options
}

// loginAtDoor begins a login at any site, even for a user who is signed in.
const loginAtDoor = "/@app/auth/default/login?returnto=/page"

var doors = []testSite{
	// The OpenID Foundation's suite expects a userinfo request.
	{"https://public.test", loginAtDoor, true, `
		userinfo always
		timeout 1m
	`},
	{rpURL, "/page", false, ""},
}

// newRowHarness returns a harness with both sites for one provider, and sets one clock for all
// of them.
func newRowHarness(t *testing.T, clock *stopped, opts ...oidctest.Option) (*harness, *oidctest.Provider) {
	t.Helper()
	return newDoors(t, clock, "", opts...)
}

// newDoors is like newRowHarness, with more options of both sites.
func newDoors(t *testing.T, clock *stopped, more string, opts ...oidctest.Option) (*harness, *oidctest.Provider) {
	t.Helper()
	op := newOP(t, append(slices.Clone(opts), oidctest.Now(clock.now))...)
	sites := ""
	for _, d := range doors {
		mode := "private"
		if d.public {
			mode = "public"
			op.Register(d.origin + "/@app/auth/default/code")
		}
		sites += fmt.Sprintf(`
http://%s {
	oidc_rp %s {
		issuer %s
		%s
		%s
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
		header_up X-Error {http.oidc_rp.error.code}
		header_up X-Message {http.oidc_rp.error.message}
	}
}
`,
			strings.TrimPrefix(d.origin, "https://"), mode, op.Issuer(), clientOptions(op), d.site+more)
	}
	r := newHarnessAt(t, storageDir(t), sites)
	r.at(clock.now)
	return r, op
}

// verdict is the outcome that a row requires of this relying party.
func verdict(row oidctest.Row) oidctest.Verdict {
	if row.String() == "S09 aud names somebody else as well, azp us" {
		// Core 3.1.3.7 (3) requires that every audience is trusted. Common providers (Zitadel,
		// Dex) add their project or a peer as an audience, and name this client in azp. With
		// that azp, the token is accepted.
		return oidctest.Accept
	}
	return row.Want
}

// TestEveryLieOfAProviderEndsAsTheTablesDemand attempts a login for each row of the conformance
// tables, at a private and at a public site.
//
// See docs/faults.md, rows F16 and F27.
func TestEveryLieOfAProviderEndsAsTheTablesDemand(t *testing.T) {
	t.Parallel()
	for _, row := range oidctest.Rows() {
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			clock := stop(t)
			r, op := newRowHarness(t, clock, row.Options...)
			op.Tell(row)
			var witnesses []*witness
			for _, d := range doors {
				for range max(row.Logins, 1) {
					w := r.witness(op, d.origin)
					w.tryRow(row, d)
					witnesses = append(witnesses, w)
				}
			}
			if verdict(row) == oidctest.Refuse {
				for _, e := range row.Unreached() {
					if n := op.Hits(e); n > 0 {
						t.Errorf("%s was asked %d times", e, n)
					}
				}
				if n := r.upstream.count(); n > 0 {
					t.Errorf("the application was asked %d times", n) // a refused login reaches no application
				}
			}
			if verdict(row) == oidctest.Accept && op.Hits(oidctest.UserInfo) == 0 {
				t.Error("userinfo was not asked") // the suite would wait for it
			}
			for _, e := range []oidctest.Endpoint{oidctest.Discovery, oidctest.Token, oidctest.JWKS, oidctest.UserInfo} {
				if n := op.SentBytes(e); n > 64<<20 { // a large or endless response is cut off; the kernel buffers a few MiB
					t.Errorf("%d bytes were read of the answer of %s", n, e)
				}
			}
			if row.Name == "a code that was never issued" {
				op.TakeViolations() // the provider noticed that the code is unknown
			}
			// The same browsers can log in as soon as the provider is honest and the pause after
			// a failure is over.
			op.Honest()
			clock.advance(longestPause)
			for _, w := range witnesses {
				check(t, w.walk(loginAtDoor), "an honest login afterwards").
					status(http.StatusOK).
					body("application sees " + cmp.Or(w.name, "alice"))
			}
			r.holdLogs(op, witnesses...)
			if t.Failed() {
				t.Log(r.logs())
			}
		})
	}
}

// tryRow attempts one login at one site and checks how it ends.
func (w *witness) tryRow(row oidctest.Row, d testSite) {
	w.t.Helper()
	p := w.walk(d.start)
	name := strings.TrimPrefix(p.body, "application sees ")
	accepted := p.StatusCode == http.StatusOK && name != p.body
	switch want := verdict(row); {
	case want == oidctest.Accept && !accepted:
		w.t.Errorf("%s: refused with status %d and %q", d.origin, p.StatusCode, p.Header.Get("Location"))
	case want == oidctest.Refuse && accepted:
		w.t.Errorf("%s: accepted as %q", d.origin, name)
	case accepted && name != "alice" && name != w.op.User("alice").Subject:
		w.t.Errorf("%s: accepted as %q", d.origin, name)
	case accepted && !w.opened:
		w.t.Errorf("%s: accepted without a session", d.origin)
	}
	if accepted {
		w.name = name
		return
	}
	if w.opened {
		w.t.Errorf("%s: refused, and yet a session was set: %v", d.origin, w.cookies())
	}
	got := shownCode(p)
	if !slices.Contains(codesFor(row), got) {
		w.t.Errorf("%s: the code is %q, not one of %q", d.origin, got, codesFor(row))
	}
	status := http.StatusForbidden
	switch {
	case d.public:
		status = http.StatusSeeOther
		if location := p.Header.Get("Location"); location != "/?auth_error="+string(got) {
			w.t.Errorf("%s: it leads to %q", d.origin, location)
		}
	case row.Stage == oidctest.AtDiscovery:
		status = http.StatusServiceUnavailable // a private page is unavailable for now
		if p.Header.Get("Retry-After") == "" {
			w.t.Errorf("%s: no Retry-After", d.origin)
		}
	}
	check(w.t, p, d.origin).status(status)
}

// codesFor returns the codes that may explain the refusal of a row. An error in an authorization
// response has exactly one code.
func codesFor(row oidctest.Row) []errorcode.Code {
	switch row.Stage {
	case oidctest.AtDiscovery:
		// A missing userinfo endpoint is noticed only when userinfo is needed.
		return []errorcode.Code{errorcode.ProviderUnavailable, errorcode.UserinfoFailed}
	case oidctest.AtAuthorization:
		if c, ok := authorizationCodes[row.String()]; ok {
			return []errorcode.Code{c}
		}
		return []errorcode.Code{errorcode.BadRequest}
	case oidctest.AtToken:
		return []errorcode.Code{errorcode.TokenExchangeFailed, errorcode.TokenInvalid}
	case oidctest.AtKeys:
		return []errorcode.Code{errorcode.TokenInvalid, errorcode.ProviderUnavailable}
	case oidctest.AtUserInfo:
		if row.ID == "S11" {
			return []errorcode.Code{errorcode.TokenInvalid} // a duplicate member is refused before userinfo is requested
		}
		return []errorcode.Code{errorcode.UserinfoFailed}
	}
	return []errorcode.Code{errorcode.TokenInvalid}
}

// authorizationCodes are the rows whose code is not bad_request.
var authorizationCodes = map[string]errorcode.Code{
	"F15 a wrong iss":                                errorcode.StateMismatch,
	"S04 iss with a slash more":                      errorcode.StateMismatch,
	"S04 iss in capitals":                            errorcode.StateMismatch,
	"S04 an empty iss":                               errorcode.StateMismatch,
	"F16 no iss though it was promised":              errorcode.StateMismatch,
	"S04 iss wrong though not promised":              errorcode.StateMismatch,
	"S04 an error without the iss that was promised": errorcode.StateMismatch,
	"F17 another state":                              errorcode.StateMismatch,
	"S07 the user said no":                           errorcode.AccessDenied,
	"S07 a description that is HTML":                 errorcode.AccessDenied,
	"S07 the provider has failed":                    errorcode.ProviderError,
	"S07 the user must sign in":                      errorcode.ProviderError,
	"S07 an unknown error":                           errorcode.ProviderError,
}
