package adminapi

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
)

const (
	tenants   = "https://login.test/{tenantid}/v2.0"
	tenant    = "https://login.test/12345678-1234-1234-1234-123456789abc/v2.0"
	looksLike = "https://realms.test/common/x"
)

func TestCheckOfARevokeRequest(t *testing.T) {
	t.Parallel()
	mapping := func(issuer string) identity.Mapping {
		return identity.Mapping{Issuer: issuer, Tenants: op.TenantTemplate(issuer)}
	}
	one := Provider{ID: "one", Mapping: mapping("https://one.test"), Discovery: &discovery{issuers: []string{"https://one.test"}}}
	again := one
	again.ID = "again"
	two := Provider{ID: "two", Mapping: mapping("https://two.test"), Discovery: &discovery{issuers: []string{"https://two.test"}}}
	many := Provider{ID: "many", Mapping: mapping(tenants), Discovery: &discovery{issuers: []string{tenant, tenants}, metadata: &op.Metadata{Issuer: tenants}}}
	single := Provider{ID: "single", Mapping: mapping(looksLike), Discovery: &discovery{issuers: []string{looksLike}, metadata: &op.Metadata{Issuer: looksLike}}}
	unread := Provider{ID: "unread", Mapping: mapping(looksLike), Discovery: &discovery{issuers: []string{looksLike}}}

	for _, row := range []struct {
		request   string
		providers []Provider
		expected  string // the revocations as JSON, or the error
	}{
		{`{}`, nil, "one of subject, sid and all is required"},
		{`{"subject": "a", "sid": "b"}`, nil, "sid: excludes subject"},
		{`{"sid": "b", "all": true}`, nil, "all: excludes sid"},
		{`{"all": true, "provider": "one"}`, nil, "provider: all ends the sessions of every provider"},
		{`{"all": true, "issuer": "x"}`, nil, "issuer: all ends the sessions of every issuer"},
		{`{"all": true}`, nil, `[{"kind":"all"}]`},
		{`{"sid": "a"}`, nil, "the configuration has no provider"},
		{`{"sid": "a", "provider": "three"}`, []Provider{one}, `provider: there is none with the id "three"`},
		{`{"sid": "a", "issuer": "x"}`, []Provider{one}, `issuer: "x" is not the issuer of such a provider`},
		{`{"sid": "a", "provider": "one", "issuer": "https://two.test"}`, []Provider{one, two}, `issuer: "https://two.test" is not the issuer of such a provider`},

		{`{"subject": "a"}`, []Provider{one, again, two},
			`[{"kind":"subject","issuer":"https://one.test","providers":["one","again"]},{"kind":"subject","issuer":"https://two.test","providers":["two"]}]`},
		{`{"subject": "a"}`, []Provider{one, one}, `[{"kind":"subject","issuer":"https://one.test","providers":["one"]}]`},
		{`{"sid": "a", "provider": "two"}`, []Provider{one, two}, `[{"kind":"sid","issuer":"https://two.test","providers":["two"]}]`},
		{`{"sid": "a", "issuer": "https://one.test"}`, []Provider{one, two}, `[{"kind":"sid","issuer":"https://one.test","providers":["one"]}]`},

		{`{"sid": "a"}`, []Provider{many}, "issuer: provider many has many tenants, each an issuer of its own: name that of the user's tenant, as " + tenants},
		{`{"sid": "a", "issuer": "` + tenants + `"}`, []Provider{many}, "issuer: provider many has many tenants, each an issuer of its own: name that of the user's tenant, as " + tenants},
		{`{"sid": "a", "issuer": "` + tenant + `"}`, []Provider{one, many}, `[{"kind":"sid","issuer":"` + tenant + `","providers":["many"]}]`},
		{`{"sid": "a"}`, []Provider{single}, `[{"kind":"sid","issuer":"` + looksLike + `","providers":["single"]}]`},
		{`{"sid": "a"}`, []Provider{unread}, "issuer: provider unread has many tenants, each an issuer of its own: name that of the user's tenant, as https://realms.test/{tenantid}/x"},
	} {
		var request RevokeRequest
		if err := json.Unmarshal([]byte(row.request), &request); err != nil {
			t.Fatal(err)
		}
		revoked, err := request.Check(row.providers)
		if err != nil {
			var failed Error
			if !errors.As(err, &failed) {
				t.Errorf("%s: expected an error with a status, seen %#v", row.request, err)
			}
			if failed.Status != 400 {
				t.Errorf("%s: expected status 400, seen %d", row.request, failed.Status)
			}
			if err.Error() != row.expected {
				t.Errorf("%s: expected %q, seen the error %q", row.request, row.expected, err)
			}
			continue
		}
		if data, _ := json.Marshal(revoked); string(data) != row.expected {
			t.Errorf("%s: expected %q, seen %s", row.request, row.expected, data)
		}
	}
}

func TestEventsOfARevokeRequest(t *testing.T) {
	t.Parallel()
	at, until := now, now.Add(time.Hour)
	request := RevokeRequest{Subject: "alice", SID: "s"}
	seen := request.Events([]Revoked{{Kind: "subject", Issuer: "i"}, {Kind: "sid", Issuer: "i"}, {Kind: "all"}}, at, until)
	expected := []revocation.Event{
		revocation.ForSubject("i", "alice", at, until), revocation.ForSID("i", "s", at, until), revocation.ForAll(at, until),
	}
	if !slices.Equal(seen, expected) {
		t.Errorf("expected %+v, seen %+v", expected, seen)
	}
}
