package op

import (
	"fmt"
	"testing"
)

// Core 3.1.3.7, 3 to 5: which other audiences an ID token may have.
func TestAudiences(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		audiences []string
		members   string
		ok        bool
	}{
		{"this client", nil, `"aud":"rp"`, true},
		{"another client", nil, `"aud":"other"`, false},
		{"another client that may be named as well", []string{"other"}, `"aud":"other"`, false},
		{"both", nil, `"aud":["rp","other"]`, false},
		{"both, issued to this one", nil, `"aud":["rp","other"],"azp":"rp"`, true},
		{"both, issued to the other one", nil, `"aud":["rp","other"],"azp":"other"`, false},
		{"both, where the other one is known", []string{"api", "other"}, `"aud":["rp","other"]`, true},
		{"both, where the other one is known, issued to it", []string{"other"}, `"aud":["rp","other"],"azp":"other"`, false},
		{"both, where a third one is known", []string{"api"}, `"aud":["rp","other"]`, false},
		{"both, where a third one is known, issued to this one", []string{"api"}, `"aud":["rp","other"],"azp":"rp"`, false},
		{"this one alone, where another is known", []string{"api"}, `"aud":["rp"]`, true},
		{"a known one in another case", []string{"api"}, `"aud":["rp","API"]`, false},
		{"no list of texts", []string{"api"}, `"aud":["rp",5]`, false},
	} {
		claims, err := parseObject([]byte("{" + tc.members + "}"))
		if err != nil {
			t.Fatal(err)
		}
		check := idTokenCheck{clientID: "rp", audiences: tc.audiences}
		if err := check.checkAudience(claims); (err == nil) != tc.ok {
			t.Errorf("%s: expected that it is taken: %v, seen %v", tc.name, tc.ok, err)
		}
	}
}

// If only some tenants are accepted, ID tokens and logout tokens of others are refused.
func TestTenantsThatAreTaken(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		tenants []string
		tenant  string
		ok      bool
	}{
		{"any", nil, tenantB, true},
		{"one of them", []string{tenantA, tenantB}, tenantB, true},
		{"another one", []string{tenantA}, tenantB, false},
	} {
		metadata := &Metadata{Issuer: microsoft + TenantPart + "/v2.0"}
		check := idTokenCheck{metadata: metadata, clientID: "rp", tenants: tc.tenants}
		claims, err := parseObject([]byte(fmt.Sprintf(`{"iss":"%s%s/v2.0","tid":%q,"sub":"1"}`, microsoft, tc.tenant, tc.tenant)))
		if err != nil {
			t.Fatal(err)
		}
		if err := check.checkIssuerAndSubject(claims); (err == nil) != tc.ok {
			t.Errorf("%s, an ID token: expected that it is taken: %v, seen %v", tc.name, tc.ok, err)
		}
		logout := logoutTokenCheck{check}
		if err := logout.checkIssuer(claims, new(LogoutToken)); (err == nil) != tc.ok {
			t.Errorf("%s, a logout token: expected that it is taken: %v, seen %v", tc.name, tc.ok, err)
		}
	}
}
