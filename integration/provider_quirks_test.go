package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// TestALogoutInTheProvidersOwnWay signs a user in at a provider whose issuer looks like
// that of a product, and out again.
func TestALogoutInTheProvidersOwnWay(t *testing.T) {
	t.Parallel()
	const back = rpURL + "/@app/auth/default/signedout"
	for _, row := range []struct {
		name, issuer string
		endpoint     func(*oidctest.Provider) string
		query        url.Values
	}{
		{"Amazon Cognito", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E", func(op *oidctest.Provider) string {
			u, _ := url.Parse(op.URL(oidctest.Authorize))
			return u.Scheme + "://" + u.Host + "/logout"
		}, url.Values{"client_id": {"rp"}, "logout_uri": {back}}},
		{"Auth0", "https://example.eu.auth0.com/", func(*oidctest.Provider) string {
			return "https://example.eu.auth0.com/v2/logout"
		}, url.Values{"client_id": {"rp"}, "returnTo": {back}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			op.Lie(func(l *oidctest.Faults) {
				l.Discovery = func(m map[string]any) {
					m["issuer"] = row.issuer
					delete(m, "end_session_endpoint")
				}
				l.IDToken.Claims = func(c map[string]any) { c["iss"] = row.issuer }
				l.Authorization.Params = func(q url.Values) {
					if q.Has("iss") {
						q.Set("iss", row.issuer)
					}
				}
			})
			b := signedIn(t, newHarness(t, `
oidc_rp {
	`+optionsOfIssuer(op, row.issuer)+`
}
`))
			p := b.get("/Special:UserLogout")
			want := row.endpoint(op) + "?" + row.query.Encode()
			check(t, p).status(http.StatusSeeOther)
			equal(t, "the redirect", p.location(), want)
			if left := b.cookies(); len(left) != 0 {
				t.Errorf("cookies are left: %v", left)
			}
		})
	}
}

// TestGroupsThatAreNotKnownAreNotNone covers users with more groups than the provider
// lists in a token. They are let in by none of them, and the log tells the operator why.
func TestGroupsThatAreNotKnownAreNotNone(t *testing.T) {
	t.Parallel()
	elsewhere := func(c map[string]any) {
		delete(c, "groups")
		c["_claim_names"] = map[string]any{"groups": "src1"}
		c["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://graph.example/me/getMemberObjects"}}
	}
	for _, row := range []struct {
		name, options     string
		idToken, userinfo func(map[string]any)
		groups            any // the groups of the user
		warnings          int
		want              string // the application's header
	}{
		{"in the ID token", "userinfo never", elsewhere, nil, nil, 1, ""},
		{"too long for a link", "userinfo never", func(c map[string]any) { c["hasgroups"] = true }, nil, nil, 1, ""},
		{"in userinfo", "userinfo always", nil, elsewhere, nil, 1, ""},
		{"userinfo has them", "userinfo always", elsewhere, nil, []string{"a", "b"}, 0, "a,b"},
		{"roles are used", `
			userinfo never
			groups_claim roles
		`, func(c map[string]any) { elsewhere(c); c["roles"] = []string{"editor"} }, nil, nil, 0, "editor"},
		{"no user has groups", "userinfo always", nil, nil, nil, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			user := op.User("alice")
			delete(user.Claims, "groups")
			if row.groups != nil {
				user.Claims["groups"] = row.groups
			}
			op.SetUser("alice", user)
			op.Lie(func(l *oidctest.Faults) { l.IDToken.Claims, l.UserInfo.Claims = row.idToken, row.userinfo })
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	scopes openid profile email groups
	`+row.options+`
	upstream {
		header X-Groups groups
	}
}
`)
			signedIn(t, r)
			if header, _ := r.upstream.got(); header.Get("X-Groups") != row.want {
				t.Errorf("the application reads %q", header.Get("X-Groups"))
			}
			equal(t, "the number of warnings", strings.Count(r.logs(), "groups of a user are not known"), row.warnings)
			if row.warnings > 0 {
				contains(t, "the log", r.logs(), "app roles")
			}
		})
	}
}
