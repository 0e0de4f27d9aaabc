package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// tenantOP returns a provider whose issuer is a template for many tenants, and the options
// of a site for it. The function in sets the tenant of the tokens.
func tenantOP(t *testing.T) (op *oidctest.Provider, lines string, in func(tenant string)) {
	t.Helper()
	op = newOP(t, oidctest.NoIss())
	template := op.Issuer() + "/{tenantid}/v2.0"
	op.Lie(func(l *oidctest.Faults) { l.Discovery = func(m map[string]any) { m["issuer"] = template } })
	in = func(tenant string) {
		op.Lie(func(l *oidctest.Faults) {
			l.IDToken.Claims = func(c map[string]any) {
				c["tid"], c["iss"] = tenant, strings.Replace(template, "{tenantid}", tenant, 1)
				c["groups"], c["email"], c["email_verified"] = []string{"admins", "a/b"}, "alice@example.com", false
			}
		})
	}
	return op, strings.Replace(options(op), "issuer "+op.Issuer(), `issuer `+template+`
	configuration_url `+op.URL(oidctest.Discovery), 1), in
}

// Only users of the tenants that the configuration names sign in, and a group of one
// tenant never has the name of a group of another.
func TestTenants(t *testing.T) {
	t.Parallel()
	op, lines, in := tenantOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+lines+`
		tenants `+strings.ToUpper(oneTenant)+` 00000000-0000-0000-0000-000000000000
		email_trusted
		groups a/b
		groups {
			admins staff
		}
		upstream {
			header X-User {http.auth.user.id}
			header X-Groups groups
			header X-Email email
		}
	}
	reverse_proxy {upstream}
}
`)
	in(oneTenant)
	b := signedIn(t, r)
	header, _ := r.upstream.got()
	want := oneTenant + "/alice|staff," + oneTenant + "/a%252Fb|alice@example.com"
	if got := header.Get("X-User") + "|" + header.Get("X-Groups") + "|" + header.Get("X-Email"); got != want {
		t.Errorf("expected %s, seen %s\n%s", want, got, r.logs())
	}
	in(anotherTenant)
	stranger := r.browser()
	check(t, stranger.open("/"), "a user of another tenant").status(http.StatusForbidden).shows("token_invalid")
	if logs := r.logs(); !strings.Contains(logs, `its tenant is \"`+anotherTenant+`\", which is not one of tenants`) {
		t.Errorf("expected the log to name the tenant, seen\n%s", logs)
	}
	logout := op.LogoutToken("u-1001", "", oidctest.JWTLies{Claims: func(c map[string]any) {
		c["iss"] = op.Issuer() + "/" + anotherTenant + "/v2.0"
	}})
	if p := stranger.post("/@app/auth/default/backchannel-logout", "logout_token="+logout, nil); p.StatusCode != http.StatusBadRequest {
		t.Errorf("a logout token of another tenant: expected status 400, seen %d", p.StatusCode)
	}
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("the user of the tenant: expected to be signed in, seen status %d", p.StatusCode)
	}
}

// Without local names, groups of the same name in two tenants have different names here.
func TestGroupsOfTwoTenantsAreTwo(t *testing.T) {
	t.Parallel()
	_, lines, in := tenantOP(t)
	r := newHarness(t, `
oidc_rp {
	`+lines+`
	upstream {
		header X-Groups groups
	}
}
`)
	for _, tenant := range []string{oneTenant, anotherTenant} {
		in(tenant)
		signedIn(t, r)
		header, _ := r.upstream.got()
		if got, want := header.Get("X-Groups"), tenant+"/admins,"+tenant+"/a%252Fb"; got != want {
			t.Errorf("expected the groups %s, seen %s", want, got)
		}
	}
}

// An ID token may have other audiences if the option audiences lists them. Without that
// option, azp must name this client.
func TestAudiences(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, option string
		others       []string
		azp          bool
		refusal      string // in the log; empty for none
	}{
		{"another one", "", []string{"api"}, false, "azp does not say that it is for this one"},
		{"another one, issued to this client", "", []string{"api"}, true, ""},
		{"a known one", "audiences https://x.example api", []string{"api"}, false, ""},
		{"none of those that are known", "audiences api", nil, false, ""},
		{"an unknown one beside a known one", "audiences api", []string{"api", "evil"}, false, `aud names \"evil\", which is not one of audiences`},
		{"an unknown one, issued to this client", "audiences api", []string{"evil"}, true, `aud names \"evil\", which is not one of audiences`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			op.Lie(func(l *oidctest.Faults) {
				l.IDToken.Claims = func(c map[string]any) {
					c["aud"] = append([]string{op.Client().ID}, row.others...)
					if delete(c, "azp"); row.azp {
						c["azp"] = op.Client().ID
					}
				}
			})
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+row.option+`
}
`)
			p := r.browser().open("/")
			if want := row.refusal == ""; want != (p.StatusCode == http.StatusOK) {
				t.Fatalf("expected that it is taken: %v, seen status %d: %s\n%s", want, p.StatusCode, p.body, r.logs())
			}
			if row.refusal != "" && !strings.Contains(r.logs(), row.refusal) {
				t.Errorf("expected the log to say %q, seen\n%s", row.refusal, r.logs())
			}
		})
	}
}
