package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestRevocationEndsSessionsEverywhere(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name        string
		body        func(oidctest.Issued) string
		other, bobs bool // whether the user's other session and another user's end
	}{
		{"subject", func(i oidctest.Issued) string { return fmt.Sprintf(`{"subject": %q}`, i.Subject) }, true, false},
		{"subject", func(i oidctest.Issued) string {
			return fmt.Sprintf(`{"subject": %q, "provider": "default"}`, i.Subject)
		}, true, false},
		{"sid", func(i oidctest.Issued) string { return fmt.Sprintf(`{"sid": %q}`, i.SID) }, false, false},
		{"all", func(oidctest.Issued) string { return `{"all": true}` }, true, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := newLogoutScene(t)
			bob, _, _ := s.signIn("bob")
			other, _, _ := s.signIn("alice")
			b, there, issued := s.signIn("alice")
			if !there.lives(s.there) {
				t.Fatal("the session does not open on the other node")
			}
			body := kind.body(issued)
			answer := ask[revocationAnswer](s.here, "POST", "/oidc_rp/revoke", body)
			equal(required{t}, "the number of Ended", len(answer.Ended), 1)
			equal(required{t}, "Kind", answer.Ended[0].Kind, kind.name)
			if kind.name != "all" {
				equal(t, "the issuer", answer.Ended[0].Issuer, s.op.Issuer())
				list(t, "the providers", answer.Ended[0].Providers, "default")
			}
			check(t, b.get("/page"), "the next page load").status(http.StatusFound).leadsInto(s.op.Issuer())
			equal(t, "the user's other session ended", !other.lives(s.here), kind.other)
			equal(t, "another user's session ended", !bob.lives(s.here), kind.bobs)
			soon(t, "the other node knows", func() bool { return !there.lives(s.there) })
			again, againThere, _ := s.signIn("alice")
			equal(t, "the later session lives here", again.lives(s.here), true)
			equal(t, "the later session lives there", againThere.lives(s.there), true)
			lines := s.here.audited("revoked")
			if len(lines) != 1 {
				t.Fatalf("expected one line about the revocation in the log, seen %d", len(lines))
			}
			// The sid is enough to end the session, so it is not in the log.
			equal(t, "the kind in the log", lines[0]["kind"], any(kind.name))
			if issued.SID != "" {
				lacks(t, "the line in the log", fmt.Sprint(lines[0]), issued.SID)
			}
		})
	}
}

// The same sub at two providers means two users.
func TestRevocationNamesOneProvider(t *testing.T) {
	t.Parallel()
	one, two := newOP(t), newOP(t)
	one.Register(rpURL + "/@app/auth/one/code")
	two.Register(rpURL + "/@app/auth/two/code")
	r := newHarnessAt(t, storageDir(t), twoProviders, `
oidc_rp {
	provider one {
		`+options(one)+`
	}
	provider two {
		`+options(two)+`
	}
}
`)
	sessions := func() (at [2]*browser) {
		for i, id := range []string{"one", "two"} {
			at[i] = r.browser()
			check(required{t}, at[i].open("/@app/auth/"+id+"/login?returnto=/")).status(http.StatusOK)
		}
		return at
	}
	at := sessions()
	subject := one.Issued().Subject
	if subject != two.Issued().Subject {
		t.Fatal("the subs differ")
	}
	for body, want := range map[string][2]bool{
		fmt.Sprintf(`{"subject": %q, "provider": "two"}`, subject):          {true, false},
		fmt.Sprintf(`{"subject": %q, "issuer": %q}`, subject, one.Issuer()): {false, true},
		fmt.Sprintf(`{"subject": %q}`, subject):                             {false, false},
	} {
		at = sessions()
		ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", body)
		for i, lives := range want {
			if at[i].lives(r) != lives {
				t.Errorf("%s: the session at provider %d lives: %v", body, i, !lives)
			}
		}
	}
}

func TestARevocationThatCannotBeKeptIsNotDone(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	signedIn(t, r)
	breakStorage(t, r)
	status, text, _ := r.admin("POST", "/oidc_rp/revoke", `{"subject": "alice"}`)
	equal(t, "the status", status, http.StatusServiceUnavailable)
	contains(t, "the answer", text, "could not be saved")
	lacks(t, "the answer", text, "alice")
	if len(r.audited("revoked")) > 0 {
		t.Error("the log says that it was done")
	}
	mendStorage(t, r)
	ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", `{"subject": "alice"}`)
}

func TestRevocationAtAProviderWithManyTenants(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.NoIss())
	template := op.Issuer() + "/{tenantid}/v2.0"
	issuerOf := func(tenant string) string { return strings.Replace(template, "{tenantid}", tenant, 1) }
	tenant := oneTenant
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) { m["issuer"] = template }
		l.IDToken.Claims = func(c map[string]any) { c["tid"], c["iss"] = tenant, issuerOf(tenant) }
	})
	r := newHarness(t, `
oidc_rp {
	`+optionsOfIssuer(op, template)+`
}
`)
	one := signedIn(t, r)
	subject := op.Issued().Subject
	tenant = anotherTenant
	other := signedIn(t, r)
	for _, body := range []string{
		fmt.Sprintf(`{"subject": %q}`, subject),
		fmt.Sprintf(`{"subject": %q, "provider": "default"}`, subject),
		fmt.Sprintf(`{"subject": %q, "issuer": %q}`, subject, template),
		fmt.Sprintf(`{"subject": %q, "issuer": %q}`, subject, op.Issuer()),
		fmt.Sprintf(`{"subject": %q, "issuer": %q}`, subject, issuerOf("common")),
	} {
		status, text, _ := r.admin("POST", "/oidc_rp/revoke", body)
		equal(t, body+": the status", status, http.StatusBadRequest)
		begins(t, body+": the answer", text, "issuer: ")
	}
	equal(required{t}, "the session of one tenant lives", one.lives(r), true)
	equal(required{t}, "the session of the other tenant lives", other.lives(r), true)
	answer := ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", fmt.Sprintf(`{"subject": %q, "issuer": %q}`, subject, issuerOf(oneTenant)))
	equal(required{t}, "the number of Ended", len(answer.Ended), 1)
	equal(t, "Issuer", answer.Ended[0].Issuer, issuerOf(oneTenant))
	equal(t, "the session of one tenant lives", one.lives(r), false)
	equal(t, "the session of the other tenant lives", other.lives(r), true)
	ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", `{"all": true}`)
	if other.lives(r) {
		t.Error("a session of another tenant outlives all")
	}
}

// An issuer that looks like a template for many tenants need not be named once it is known to
// have only one.
func TestAnIssuerThatOnlyLooksLikeManyTenants(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.Path("/realms/common/x"))
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	answer := ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", fmt.Sprintf(`{"subject": %q}`, op.Issued().Subject))
	equal(required{t}, "the number of Ended", len(answer.Ended), 1)
	equal(t, "Issuer", answer.Ended[0].Issuer, op.Issuer())
	equal(t, "the session lives", b.lives(r), false)
}

// A revoked session stays revoked, even if a configuration with a shorter lifetime carried out
// the revocation.
func TestARevocationOutlastsAShorterLifetime(t *testing.T) {
	t.Parallel()
	stop(t)
	op, storage := newOP(t), storageDir(t)
	site := func(lifetime string) string {
		return `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		session {
			lifetime ` + lifetime + `
		}
	}
	reverse_proxy {upstream}
}
`
	}
	long := newHarnessAt(t, storage, site("720h"))
	copied := signedIn(t, long).cookieHeader()
	short := newHarnessAt(t, storage, site("1h"))
	ask[revocationAnswer](short, "POST", "/oidc_rp/revoke", `{"all": true}`)
	again := newHarnessAt(t, storage, site("720h"))
	for _, r := range []*harness{long, short, again} {
		r.ahead(2 * time.Hour)
	}
	long.work("logouts") // the three share one process, whose background work began long ago
	long.work("old logouts")
	if status, _, _ := again.ask(t.Context(), copied); status != http.StatusUnauthorized {
		t.Errorf("two hours later: status %d", status)
	}
}
