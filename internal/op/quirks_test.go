package op

import (
	"maps"
	"net/url"
	"slices"
	"testing"
	"time"
)

const (
	pool      = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E"
	poolPages = "https://example.auth.eu-central-1.amazoncognito.com"
	auth0     = "https://example.eu.auth0.com/"
)

func TestLogoutsThatAreNotTheStandards(t *testing.T) {
	t.Parallel()
	const back = "https://app.example.com/@app/auth/default/signedout"
	var (
		cognito  = url.Values{"client_id": {"rp"}, "logout_uri": {back}}
		v2       = url.Values{"client_id": {"rp"}, "returnTo": {back}}
		standard = url.Values{"client_id": {"rp"}, "post_logout_redirect_uri": {back}, "state": {"s"}, "id_token_hint": {"token"}}
	)
	for _, tc := range []struct {
		name, issuer, authorization, endSession string
		configured                              bool
		want                                    string // the endpoint
		parameters                              url.Values
	}{
		{"a pool without an endpoint", pool, poolPages + "/oauth2/authorize", "", false, poolPages + "/logout", cognito},
		{"a pool with one", pool, poolPages + "/oauth2/authorize", poolPages + "/logout", false, poolPages + "/logout", cognito},
		{"a pool in a government region", "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_Ab12", poolPages + "/oauth2/authorize", "", false, poolPages + "/logout", cognito},
		{"a pool whose pages have a domain of their own", pool, "https://login.example.com/oauth2/authorize?x=y", "", false, "https://login.example.com/logout", cognito},
		{"a pool, configured", pool, poolPages + "/oauth2/authorize", "https://out.example.com/end", true, "https://out.example.com/end", standard},
		{"a pool by plain http", "http" + pool[5:], poolPages + "/oauth2/authorize", "", false, "", nil},
		{"a pool with a slash", pool + "/", poolPages + "/oauth2/authorize", "", false, "", nil},
		{"a pool with a line after", pool + "\n", poolPages + "/oauth2/authorize", "", false, "", nil},
		{"a pool with a port", "https://cognito-idp.eu-central-1.amazonaws.com:444/eu-central-1_Ab12", poolPages + "/oauth2/authorize", "", false, "", nil},
		{"a pool of another region", "https://cognito-idp.eu-central-1.amazonaws.com/us-east-1_Ab12", poolPages + "/oauth2/authorize", "", false, "", nil},
		{"a host that begins as a pool's", "https://cognito-idp.eu-central-1.amazonaws.com.evil.example/eu-central-1_Ab12", "https://evil.example/authorize", "", false, "", nil},
		{"a host that ends as a pool's", "https://evil-cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12", "https://evil.example/authorize", "", false, "", nil},
		{"a region with dots", "https://cognito-idp.evil.eu-central-1.amazonaws.com/eu-central-1_Ab12", "https://evil.example/authorize", "", false, "", nil},
		{"another service of Amazon's", "https://oidc.eks.eu-central-1.amazonaws.com/id/AB12", "https://op.example/authorize", "", false, "", nil},
		{"a pool in the path", "https://evil.example/" + pool, "https://evil.example/authorize", "https://evil.example/end", false, "https://evil.example/end", standard},

		{"a tenant without an endpoint", auth0, auth0 + "authorize", "", false, auth0 + "v2/logout", v2},
		{"a tenant without a region", "https://example.auth0.com/", "https://example.auth0.com/authorize", "", false, "https://example.auth0.com/v2/logout", v2},
		{"a tenant with an endpoint", auth0, auth0 + "authorize", auth0 + "oidc/logout", false, auth0 + "oidc/logout", standard},
		{"a tenant, configured", auth0, auth0 + "authorize", "https://out.example.com/end", true, "https://out.example.com/end", standard},
		{"a tenant under a domain of its own", "https://login.example.com/", "https://login.example.com/authorize", "", false, "", nil},
		{"a tenant by plain http", "http://example.auth0.com/", "http://example.auth0.com/authorize", "", false, "", nil},
		{"a host that begins as Auth0's", "https://auth0.com.evil.example/", "https://auth0.com.evil.example/authorize", "", false, "", nil},
		{"a host that begins as a tenant's", "https://example.eu.auth0.com.evil.example/", "https://evil.example/authorize", "", false, "", nil},
		{"a host that ends as Auth0's", "https://evilauth0.com/", "https://evilauth0.com/authorize", "", false, "", nil},
		{"no tenant", "https://auth0.com/", "https://auth0.com/authorize", "", false, "", nil},
		{"a tenant as the user", "https://example.auth0.com@evil.example/", "https://evil.example/authorize", "", false, "", nil},
		{"a tenant in the path", "https://evil.example/example.auth0.com/", "https://evil.example/authorize", "", false, "", nil},
		{"a tenant with a path", "https://example.auth0.com/evil/", "https://evil.example/authorize", "", false, "", nil},
		{"a dot that is none", "https://example.auth0xcom/", "https://evil.example/authorize", "", false, "", nil},

		{"any provider without an endpoint", "https://op.example", "https://op.example/authorize", "", false, "", nil},
		{"any provider with one", "https://op.example", "https://op.example/authorize", "https://op.example/end", false, "https://op.example/end", standard},
	} {
		metadata := &Metadata{Issuer: tc.issuer, Endpoints: Endpoints{Authorization: tc.authorization, EndSession: tc.endSession}}
		remote := NewDiscovery(DiscoveryConfig{Issuer: tc.issuer, Now: time.Now})
		remote.metadata, remote.fetched = metadata, time.Now()
		if tc.configured {
			remote.config.Endpoints.EndSession = tc.endSession
		}
		got, ok, err := (&Client{Discovery: remote, ClientID: "rp"}).EndSession(t.Context(), "token", "alice", back, "s")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if ok != (tc.want != "") {
			t.Errorf("%s: expected an address %t, seen %t", tc.name, tc.want != "", ok)
		}
		if got.Endpoint != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, got.Endpoint)
		}
		if !maps.EqualFunc(got.Parameters, tc.parameters, slices.Equal) {
			t.Errorf("%s: expected the parameters %v, seen %v", tc.name, tc.parameters, got.Parameters)
		}
	}
}

func TestClaimsThatAreWithheld(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, claims, claim string
		want                bool
	}{
		{"more groups than fit", `{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example/"}}}`, "groups", true},
		{"more than fit into an address", `{"hasgroups":true}`, "groups", true},
		{"the same as a text", `{"hasgroups":"true"}`, "groups", true},
		{"no groups, but null", `{"_claim_names":{"groups":"src1"},"groups":null}`, "groups", true},
		{"another claim that is elsewhere", `{"_claim_names":{"roles":"src1"}}`, "roles", true},
		{"groups are there", `{"_claim_names":{"groups":"src1"},"groups":["a"]}`, "groups", false},
		{"groups are there and none", `{"hasgroups":true,"groups":[]}`, "groups", false},
		{"roles are asked for", `{"_claim_names":{"groups":"src1"},"hasgroups":true}`, "roles", false},
		{"something else is elsewhere", `{"_claim_names":{"address":"src1"}}`, "groups", false},
		{"a name that only folds", `{"_claim_names":{"Groups":"src1"},"HasGroups":true}`, "groups", false},
		{"nothing is elsewhere", `{"_claim_names":{"groups":null}}`, "groups", false},
		{"a list", `{"_claim_names":["groups"]}`, "groups", false},
		{"a text", `{"_claim_names":"groups"}`, "groups", false},
		{"no groups, said so", `{"hasgroups":false}`, "groups", false},
		{"no groups", `{"sub":"alice"}`, "groups", false},
		{"nothing", `{}`, "groups", false},
	} {
		claims, err := parseObject([]byte(tc.claims))
		if err != nil {
			t.Fatal(err)
		}
		if got := Claims(claims).Withholds(tc.claim); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
	if Claims(nil).Withholds("groups") {
		t.Error("no userinfo withholds nothing")
	}
}

// TestQuirksAreWhole checks that each quirk has all its parts.
func TestQuirksAreWhole(t *testing.T) {
	t.Parallel()
	for _, q := range quirks {
		logout := q.is != nil && q.logout != nil && q.returnTo != ""
		if q.name == "" {
			t.Errorf("expected a name, seen none of %+v", q)
		}
		if withholds := q.withholds != nil; logout == withholds {
			t.Errorf("%s: expected either a logout or claims that are withheld, seen %t and %t", q.name, logout, withholds)
		}
		if partly := q.is != nil || q.logout != nil || q.returnTo != ""; !logout && partly {
			t.Errorf("%s: expected all of a logout or nothing, seen a part", q.name)
		}
	}
}
