package integration_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// signsInWith sets claims of the ID tokens of logins. nil removes a claim.
func signsInWith(claims map[string]any) func(*oidctest.Faults) {
	return func(l *oidctest.Faults) { l.IDToken.Claims = withClaims(claims) }
}

func withClaims(claims map[string]any) func(map[string]any) {
	return func(c map[string]any) {
		for name, value := range claims {
			if value == nil {
				delete(c, name)
			} else {
				c[name] = value
			}
		}
	}
}

func refusesWith(code string) func(*oidctest.Faults) {
	return func(l *oidctest.Faults) { l.Authorization.Error = code }
}

// Whatever a provider does in a step-up, a page load ends after one login, and the
// existing session continues on other pages. Users who reload the page again and again
// begin two logins a minute.
func TestAStepUpNeverLoops(t *testing.T) {
	t.Parallel()
	now := stop(t).now()
	for _, row := range []struct {
		name string
		lie  func(*oidctest.Faults)
		who  func(*oidctest.Provider)
		// acr and age say whether /admin and /pay are served in the end.
		acr, age bool
		code     string // the error that the user sees otherwise
	}{
		{name: "does what it is asked for", acr: true, age: true},
		{name: "sends no auth_time", lie: signsInWith(map[string]any{"auth_time": nil}), acr: true, code: "forbidden"},
		{name: "sends auth_time null", lie: signsInWith(map[string]any{"auth_time": json.RawMessage("null")}), acr: true, code: "forbidden"},
		{name: "ignores acr_values", lie: signsInWith(map[string]any{"acr": "1"}), age: true, code: "forbidden"},
		{name: "sends no acr", lie: signsInWith(map[string]any{"acr": nil}), age: true, code: "forbidden"},
		{name: "sends acr null", lie: signsInWith(map[string]any{"acr": json.RawMessage("null")}), age: true, code: "forbidden"},
		{name: "sends an empty acr", lie: signsInWith(map[string]any{"acr": ""}), age: true, code: "forbidden"},
		{name: "sends another acr and acrs with the right one", lie: signsInWith(map[string]any{"acr": "1", "acrs": []string{"c1", "mfa"}}), acr: true, age: true},
		{name: "sends acrs alone", lie: signsInWith(map[string]any{"acr": nil, "acrs": []string{"mfa"}}), acr: true, age: true},
		{name: "sends acrs as text", lie: signsInWith(map[string]any{"acr": nil, "acrs": "mfa"}), acr: true, age: true},
		{name: "sends other acrs", lie: signsInWith(map[string]any{"acr": nil, "acrs": []string{"c1"}}), age: true, code: "forbidden"},
		{name: "sends acr as a list", lie: signsInWith(map[string]any{"acr": []string{"mfa"}}), age: true, code: "forbidden"},
		{name: "sends acr as a number", lie: signsInWith(map[string]any{"acr": 2}), age: true, code: "forbidden"},
		{name: "sends acr in other letters", lie: signsInWith(map[string]any{"acr": "MFA"}), age: true, code: "forbidden"},
		{name: "says unmet_authentication_requirements", lie: refusesWith("unmet_authentication_requirements"), code: "forbidden"},
		{name: "says invalid_request", lie: refusesWith("invalid_request"), code: "provider_error"},
		{name: "says login_required", lie: refusesWith("login_required"), code: "provider_error"},
		{name: "says account_selection_required", lie: refusesWith("account_selection_required"), code: "provider_error"},
		{name: "says access_denied", lie: refusesWith("access_denied"), code: "access_denied"},
		{name: "sends an auth_time older than max_age", lie: signsInWith(map[string]any{"auth_time": now.Add(-time.Hour).Unix()}), acr: true, code: "forbidden"},
		{name: "sends an auth_time in the future", lie: signsInWith(map[string]any{"auth_time": now.Add(time.Hour).Unix()}), acr: true, code: "forbidden"},
		{name: "sends an auth_time of a little later", lie: signsInWith(map[string]any{"auth_time": now.Add(30 * time.Second).Unix()}), acr: true, age: true},
		{name: "sends an auth_time of zero", lie: signsInWith(map[string]any{"auth_time": 0}), acr: true, code: "forbidden"},
		{name: "sends auth_time with a fraction", lie: signsInWith(map[string]any{"auth_time": float64(now.Unix()) + 0.5}), acr: true, age: true},
		{name: "sends auth_time in milliseconds", lie: signsInWith(map[string]any{"auth_time": now.UnixMilli()}), acr: true, code: "forbidden"},
		{name: "sends auth_time as a text", lie: signsInWith(map[string]any{"auth_time": now.UTC().Format(time.RFC3339)}), code: "token_invalid"},
		{name: "sends auth_time as a number in quotes", lie: signsInWith(map[string]any{"auth_time": "1700000000"}), code: "token_invalid"},
		{name: "sends acr and auth_time by userinfo alone", lie: func(l *oidctest.Faults) {
			l.IDToken.Claims = withClaims(map[string]any{"acr": nil, "auth_time": nil})
			l.UserInfo.Claims = withClaims(map[string]any{"acr": "mfa", "acrs": []string{"mfa"}, "auth_time": now.Unix()})
		}, code: "forbidden"},
		{name: "has a page of its own", who: func(p *oidctest.Provider) { p.SignOut() }},
		{name: "shows an error page", lie: func(l *oidctest.Faults) {
			*l.At(oidctest.Authorize) = oidctest.Fault{Status: http.StatusInternalServerError, Header: func(h http.Header) { h.Del("Location") }}
		}},
		{name: "refuses the code", lie: func(l *oidctest.Faults) {
			*l.At(oidctest.Token) = oidctest.Fault{Status: http.StatusBadRequest, Body: func([]byte) []byte { return []byte(`{"error":"invalid_grant"}`) }}
		}, code: "token_exchange_failed"},
	} {
		for _, page := range []struct {
			path   string
			served bool
		}{{"/admin", row.acr}, {"/pay", row.age}, {"/both", row.acr && row.age}} {
			t.Run("a provider that "+row.name+", for "+page.path, func(t *testing.T) {
				t.Parallel()
				op := newOP(t, oidctest.Lenient())
				r := newHarness(t, stepUpSite(op, "userinfo always"))
				b := r.browser()
				op.Lie(signsInWith(map[string]any{"acr": "1", "auth_time": now.Add(-2 * time.Hour).Unix()}))
				check(required{t}, b.open("/"), "the sign-in before").status(http.StatusOK)
				op.Honest()
				if row.lie != nil {
					op.Lie(row.lie)
				}
				if row.who != nil {
					row.who(op)
				}
				before := op.Hits(oidctest.Authorize)
				p := b.travel(rpURL + page.path)
				equal(t, "the number of logins of one page load", op.Hits(oidctest.Authorize)-before, 1)
				switch {
				case page.served:
					check(t, p, "the page").status(http.StatusOK).at(rpURL + page.path)
				case row.code != "":
					check(t, p, "the callback").status(http.StatusForbidden).shows(row.code)
				default:
					begins(t, "the address of the provider's page", p.url, op.Issuer())
				}
				check(t, b.get("/"), "the rest of the site").status(http.StatusOK).body("application sees alice")
				for range 4 {
					b.travel(rpURL + page.path)
				}
				want := 2
				if page.served {
					want = 1
				}
				equal(t, "the number of logins of five page loads", op.Hits(oidctest.Authorize)-before, want)
				check(t, b.get("/"), "the rest of the site at the end").status(http.StatusOK)
				op.Honest()
				op.SignIn("alice")
				r.ahead(61 * time.Second)
				check(t, b.travel(rpURL+page.path), "a minute later, when the provider does it").status(http.StatusOK)
			})
		}
	}
}

// Without a session, one page load leads to one login as well.
func TestALoginThatDemandsMoreNeverLoops(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]map[string]any{"no acr": {"acr": nil}, "no auth_time": {"auth_time": nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, stepUpSite(op))
			op.Lie(signsInWith(claims))
			b := r.browser()
			for i := range 3 {
				check(t, b.travel(rpURL+"/both"), "the callback").refused("forbidden")
				equal(t, "the number of logins", op.Hits(oidctest.Authorize), i+1)
			}
			equal(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], "")
			equal(t, "the number of requests at the application", r.upstream.count(), 0)
		})
	}
}

// A user who goes back from the provider still has the same session, and can finish the
// login later.
func TestAUserMayComeBackFromAStepUpWithoutIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op))
	b := signedIn(t, r)
	begun := b.get("/admin")
	check(required{t}, begun).status(http.StatusFound)
	check(t, b.get("/"), "the rest of the site").status(http.StatusOK)
	check(t, b.send(http.MethodGet, "/x", apiCall), "a call").status(http.StatusOK)
	check(t, b.open(begun.location()), "the login, later").status(http.StatusOK).at(rpURL + "/admin")
}

// A refreshed ID token can remove acr and never adds it. A later auth_time counts, and one
// that is missing changes nothing.
func TestARefreshChangesWhatASessionProves(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		claims   map[string]any // of the refreshed ID token
		acr, age int            // the status of /admin and /pay after the refresh
	}{
		{"the same", nil, http.StatusOK, http.StatusFound},
		{"no acr", map[string]any{"acr": nil}, http.StatusFound, http.StatusFound},
		{"another acr", map[string]any{"acr": "1"}, http.StatusFound, http.StatusFound},
		{"another acr that would be enough", map[string]any{"acr": "hwk"}, http.StatusFound, http.StatusFound},
		{"acr as a list", map[string]any{"acr": []string{"mfa"}}, http.StatusFound, http.StatusFound},
		{"no auth_time", map[string]any{"auth_time": nil}, http.StatusOK, http.StatusFound},
		{"a later auth_time", map[string]any{"auth_time": "now"}, http.StatusOK, http.StatusOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, stepUpRoutes))
			b := r.browser()
			check(required{t}, b.open("/both"), "the login").status(http.StatusOK)
			check(required{t}, b.get("/admin"), "a page that demands acr").status(http.StatusOK)
			claims := withClaims(row.claims)
			op.at(due, r)
			op.Lie(func(l *oidctest.Faults) {
				l.Refreshed.Claims = func(c map[string]any) {
					if claims(c); c["auth_time"] == "now" {
						c["auth_time"] = op.clock.now().Unix()
					}
				}
			})
			check(t, b.get("/"), "the rest of the site").status(http.StatusOK)
			equal(t, "the number of refreshes", calls(op), 1)
			check(t, b.get("/admin"), "a page that demands acr").status(row.acr)
			check(t, b.get("/pay"), "a page that demands max_age").status(row.age)
			b.forget("_again") // resets the count of logins that did not end
			check(t, b.open("/both"), "a page that demands both, after another login").status(http.StatusOK)
		})
	}
}

// A provider that drops acr with the first refresh causes no loop: the session comes from
// a login with these demands, so no other login begins.
func TestALoginThatARefreshUndoesIsNotRepeated(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, stepUpRoutes))
	op.Lie(func(l *oidctest.Faults) {
		l.Token = func(m map[string]any) { m["expires_in"] = 1 }
		l.Refreshed.Claims = withClaims(map[string]any{"acr": nil})
	})
	b := r.browser()
	begun := b.get("/admin")
	p := b.get(b.get(begun.location()).location()) // until the callback has ended
	check(required{t}, p, "the callback").status(http.StatusSeeOther)
	op.at(2*time.Second, r)
	p = b.travel(p.location())
	check(t, p, "the page").refused("forbidden").shows("A stronger sign-in is needed", "Try again", "login?returnto=%2Fadmin&amp;acr_values=mfa&#43;hwk")
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
	line := r.lastAudited("refused")
	holdFields(t, line, map[string]any{"user": "alice", "code": "forbidden"})
	check(t, b.get("/"), "the rest of the site").status(http.StatusOK)
	// The link begins a login, and so does the page after a minute.
	check(t, b.get("/@app/auth/default/login?returnto=%2Fadmin&acr_values=mfa+hwk"), "the link").status(http.StatusFound)
	op.at(2*time.Minute, r)
	check(t, b.get("/admin"), "the page later").status(http.StatusFound)
}

// If a session is older than max_age only because time has passed, another login begins,
// however recent the last one is.
func TestTimeAloneIsAReasonForAnotherLogin(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarness(t, protectedBy(op.Provider, "clock_skew 0s", `
private /now {
	require max_age 5s
}
`))
	b := r.browser()
	check(required{t}, b.open("/now")).status(http.StatusOK)
	op.at(20*time.Second, r)
	begun := b.get("/now")
	check(required{t}, begun).status(http.StatusFound).leadsWith("max_age=5")
	check(t, b.open(begun.location())).status(http.StatusOK)
}

// If authorization_params has a claims parameter for acr, a step-up adds its values to
// that parameter, too.
func TestAnEssentialClaimIsAskedForWhereTheParametersSaySo(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op, `
	authorization_params {
		acr_values hwk
		claims <<JSON
			{"id_token":{"acr":{"essential":true},"email":null}}
			JSON
	}
	`))
	op.Lie(signsInWith(map[string]any{"acr": "1"}))
	b := signedIn(t, r)
	op.Honest()
	begun := b.get("/admin")
	parameters := askedOf(t, begun)
	equal(t, "acr_values", parameters.Get("acr_values"), "hwk mfa")
	equal(t, "claims", parameters.Get("claims"), `{"id_token":{"acr":{"essential":true,"values":["mfa","hwk"]},"email":null}}`)
	check(t, b.open(begun.location())).status(http.StatusOK)
}

// With the fixed parameter prompt none, the provider may not interact with the user, so a
// step-up can only confirm what the provider knows already.
func TestAFixedPromptNoneIsKept(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, stepUpSite(op, `login_is_auth_time
	authorization_params {
		prompt none
	}`))
	b := signedIn(t, r)
	for path, lie := range map[string]func(*oidctest.Faults){"/admin": refusesWith("login_required"), "/pay": signsInWith(map[string]any{"auth_time": nil})} {
		op.Honest()
		proof(op, "1", time.Hour)
		b.open("/@app/auth/default/login")
		op.Honest()
		op.Lie(lie)
		begun := b.get(path)
		equal(t, path+": prompt", askedOf(t, begun).Get("prompt"), "none")
		check(t, b.open(begun.location()), path).status(http.StatusForbidden)
		check(t, b.get("/"), "the rest of the site").status(http.StatusOK)
	}
	// max_age 0 contradicts prompt none, so 1 is sent.
	begun := b.get("/@app/auth/default/login?max_age=0")
	equal(t, "max_age", askedOf(t, begun).Get("max_age"), "1")
}

// With login_is_auth_time, the time of a login counts as auth_time if the login made the
// user sign in.
func TestALoginCountsAsAuthTime(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarness(t, stepUpSite(op.Provider, "login_is_auth_time"))
	op.Lie(signsInWith(map[string]any{"auth_time": nil}))
	b := signedIn(t, r)
	check(t, b.send(http.MethodGet, "/pay", apiCall), "a call after an ordinary login").status(http.StatusUnauthorized)
	begun := b.get("/admin")
	equal(t, "prompt of a login whose time does not matter", askedOf(t, begun).Get("prompt"), "")
	check(t, b.open(begun.location()), "a page that demands acr").status(http.StatusOK)
	check(t, b.send(http.MethodGet, "/pay", apiCall), "a call after a login for acr").status(http.StatusUnauthorized)

	begun = b.get("/pay")
	parameters := askedOf(t, begun)
	equal(t, "prompt", parameters.Get("prompt"), "login")
	equal(t, "max_age", parameters.Get("max_age"), "300")
	// The time is that of the beginning of the login.
	op.at(4*time.Minute, r)
	check(t, b.open(begun.location()), "the page").status(http.StatusOK).at(rpURL + "/pay")
	op.at(5*time.Minute+50*time.Second, r)
	check(t, b.send(http.MethodGet, "/pay", apiCall), "a call within max_age and clock_skew").status(http.StatusOK)
	op.at(6*time.Minute+10*time.Second, r)
	check(t, b.send(http.MethodGet, "/pay", apiCall), "a call after max_age").status(http.StatusUnauthorized)
	// A login that takes longer than max_age is not recent enough.
	begun = b.get("/pay")
	op.at(13*time.Minute, r)
	check(t, b.open(begun.location()), "a slow login").refused("forbidden")
	// An auth_time that the provider sends takes precedence.
	op.Lie(signsInWith(map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}))
	check(t, b.open("/pay"), "an old auth_time").refused("forbidden")
	// A link that demands max_age makes the user sign in as well, and so does the first login.
	equal(t, "prompt of a link", askedOf(t, b.get("/@app/auth/default/login?max_age=60&prompt=select_account")).Get("prompt"), "login")
	op.Lie(signsInWith(map[string]any{"auth_time": nil}))
	begun = r.browser().get("/pay")
	equal(t, "prompt of a first login", askedOf(t, begun).Get("prompt"), "login")
}

// With login_is_auth_time, the fixed parameter max_age works with a provider that sends no
// auth_time. Without the option every login fails.
func TestALoginCountsForAFixedMaxAge(t *testing.T) {
	t.Parallel()
	stop(t)
	for option, status := range map[string]int{"": http.StatusForbidden, "login_is_auth_time": http.StatusOK} {
		op := newOP(t)
		r := newHarness(t, protectedBy(op, option, `authorization_params {
			max_age 3600
		}`))
		op.Lie(signsInWith(map[string]any{"auth_time": nil}))
		b := r.browser()
		begun := b.get("/")
		equal(t, option+": whether the login asks the user to sign in", strings.Contains(begun.location(), "prompt=login"), option != "")
		check(t, b.open(begun.location()), option).status(status)
		if status == http.StatusOK {
			check(t, b.get("/"), "the next request").status(http.StatusOK)
			r.ahead(62 * time.Minute)
			check(t, b.get("/"), "an hour later").status(http.StatusFound)
		}
	}
}

// A provider that refuses the pushed request because of unknown acr_values or prompts
// causes no loop either: no login begins.
func TestAPushedStepUpMayBeRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.PushedRequests(), oidctest.Lenient())
	r := newHarness(t, stepUpSite(op))
	op.Lie(signsInWith(map[string]any{"acr": "1"}))
	b := signedIn(t, r)
	op.Honest()
	op.Lie(func(l *oidctest.Faults) {
		*l.At(oidctest.PushedRequest) = oidctest.Fault{Status: http.StatusBadRequest, Body: func([]byte) []byte {
			return []byte(`{"error":"invalid_request","error_description":"unknown acr_values"}`)
		}}
	})
	check(t, b.get("/admin"), "the page").refused("provider_error")
	check(t, b.get("/@app/auth/default/login?prompt=select_account&returnto=%2Fadmin"), "another account").refused("provider_error")
	contains(t, "the log", r.logs(), "unknown acr_values")
	check(t, b.get("/"), "the rest of the site").status(http.StatusOK)
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
	op.Honest()
	check(t, b.open("/admin"), "the page, when the provider takes it").status(http.StatusOK)
}
