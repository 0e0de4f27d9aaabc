package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

const twoProviders = `
http://rp.test {
	oidc_rp {
		provider one two
		default_provider one
	}
	reverse_proxy {upstream}
}
`

func TestTheAdminAPIRefuses(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), twoProviders, `
oidc_rp {
	provider one {
		issuer http://127.0.0.1:1/one
		client_id rp
	}
	provider two {
		issuer http://127.0.0.1:1/two
		client_id rp
	}
}
`)
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/oidc_rp/", "", 404, "nothing"},
		{"GET", "/oidc_rp/providers/", "", 404, "nothing"},
		{"GET", "/oidc_rp/Providers", "", 404, "nothing"},
		{"POST", "/oidc_rp/providers", "", 405, "GET"},
		{"HEAD", "/oidc_rp/keys", "", 405, "GET"},
		{"GET", "/oidc_rp/revoke", "", 405, "POST"},
		{"DELETE", "/oidc_rp/keys/rotate", "", 405, "POST"},
		{"POST", "/oidc_rp/revoke", "", 400, "one of subject, sid and all"},
		{"POST", "/oidc_rp/revoke", "{}", 400, "one of subject, sid and all"},
		{"POST", "/oidc_rp/revoke", `{"all": false}`, 400, "one of subject, sid and all"},
		{"POST", "/oidc_rp/revoke", `{"subject": ""}`, 400, "one of subject, sid and all"},
		{"POST", "/oidc_rp/revoke", `{"subject": "a", "sid": "b"}`, 400, "sid: excludes subject"},
		{"POST", "/oidc_rp/revoke", `{"sid": "b", "all": true}`, 400, "all: excludes sid"},
		{"POST", "/oidc_rp/revoke", `{"all": true, "provider": "one"}`, 400, "provider: all"},
		{"POST", "/oidc_rp/revoke", `{"all": true, "issuer": "x"}`, 400, "issuer: all"},
		{"POST", "/oidc_rp/revoke", `{"subject": "a", "provider": "three"}`, 400, `provider: there is none with the id "three"`},
		{"POST", "/oidc_rp/revoke", `{"subject": "a", "issuer": "https://other.example"}`, 400, "issuer: "},
		{"POST", "/oidc_rp/revoke", `{"subject": "a", "provider": "one", "issuer": "http://127.0.0.1:1/two"}`, 400, "issuer: "},
		{"POST", "/oidc_rp/revoke", `{"subject": "a", "user": "b"}`, 400, `unknown field "user"`},
		{"POST", "/oidc_rp/revoke", `{"subject": 7}`, 400, "subject: does not take a JSON number"},
		{"POST", "/oidc_rp/revoke", `{"all": "true"}`, 400, "all: does not take a JSON string"},
		{"POST", "/oidc_rp/revoke", `["a"]`, 400, "the body: does not take a JSON array"},
		{"POST", "/oidc_rp/revoke", `{"subject": "a"} {}`, 400, "something follows"},
		{"POST", "/oidc_rp/revoke", `{"subject": "a"`, 400, "unexpected EOF"},
		{"POST", "/oidc_rp/revoke", `{"subject": "` + strings.Repeat("a", 64<<10) + `"}`, 400, "too large"},
		{"POST", "/oidc_rp/keys/rotate", `{"all": true}`, 400, `unknown field "all"`},
		{"POST", "/oidc_rp/keys/rotate", `{"compromised": 1}`, 400, "compromised: does not take a JSON number"},
	} {
		name := fmt.Sprintf("%s %s %.60s", tc.method, tc.path, tc.body)
		status, text, header := r.admin(tc.method, tc.path, tc.body)
		equal(t, name+": the status", status, tc.status)
		contains(t, name+": the answer", text, tc.says)
		allow := ""
		if tc.status == 405 {
			allow = tc.says
		}
		equal(t, name+": Allow", header.Get("Allow"), allow)
	}
}

func TestTheStateOfProvidersIsListed(t *testing.T) {
	t.Parallel()
	idp := newOP(t)
	down := `
issuer http://127.0.0.1:1
client_id rp
client_secret "a secret of the down one"
`
	own := `
http://%s {
	oidc_rp {
		` + options(idp) + `
	}
	reverse_proxy {upstream}
}
`
	r := newHarnessAt(t, storageDir(t),
		`
`+fmt.Sprintf(own, "rp.test")+fmt.Sprintf(own, "b.test, http://a.test")+`
http:// {
	oidc_rp {
		provider down
		base_url https://pinned.test
	}
}
`,
		`
oidc_rp {
	provider down {
		`+down+`
	}
	provider off {
		issuer https://off.invalid
		client_id rp
		jwks "{\"keys\":[`+strings.ReplaceAll(publicKey, `"`, `\"`)+`]}"
		disabled
	}
}
`)
	listed := func() (byID map[string]providerStatus) {
		byID = make(map[string]providerStatus)
		hits := idp.Hits(oidctest.Discovery) + idp.Hits(oidctest.JWKS)
		answer := ask[providersAnswer](r, "GET", "/oidc_rp/providers", "")
		for _, p := range answer.Providers {
			byID[p.ID] = p
		}
		equal(required{t}, "the number of IDs", len(byID), 3)
		equal(required{t}, "the number of Providers", len(answer.Providers), 3)
		if now := idp.Hits(oidctest.Discovery) + idp.Hits(oidctest.JWKS); now != hits {
			t.Error("the provider was asked")
		}
		return byID
	}
	all := listed()
	p := all["default"]
	equal(t, "before the first login: Shared", p.Shared, false)
	list(t, "before the first login: Sites", p.Sites, "a.test", "b.test", "rp.test")
	equal(t, "before the first login: Issuer", p.Issuer, idp.Issuer())
	equal(t, "before the first login: ClientID", p.ClientID, idp.Client().ID)
	equal(t, "before the first login: the state of the metadata", p.Metadata.State, op.Unknown)
	equal(t, "before the first login: the state of the keys", p.Keys.State, op.Unknown)
	list(t, "before the first login: Endpoints", p.Endpoints)
	equal(t, "before the first login: Disabled", p.Disabled, false)
	p = all["down"]
	equal(t, "the provider that is down: Shared", p.Shared, true)
	list(t, "the provider that is down: Sites", p.Sites, "pinned.test")
	equal(t, "the provider that is down: the state of the metadata", p.Metadata.State, op.Unknown)
	p = all["off"]
	equal(t, "the disabled provider: Disabled", p.Disabled, true)
	equal(t, "the disabled provider: Shared", p.Shared, true)
	list(t, "the disabled provider: Sites", p.Sites)
	equal(t, "the disabled provider: the state of the keys", p.Keys.State, op.OK)
	equal(t, "the disabled provider: the number of usable keys", p.Keys.Usable, 1)

	began := time.Now().Truncate(time.Second)
	signedIn(t, r)
	if p := r.browser().get("https://pinned.test/page"); p.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("at the site whose provider is down: expected status 503, seen %d", p.StatusCode)
	}
	all = listed()
	p = all["default"]
	equal(t, "after a login: the state of the metadata", p.Metadata.State, op.OK)
	equal(t, "after a login: the metadata was read before the test", p.Metadata.Read.Before(began), false)
	equal(t, "after a login: the error of the metadata", p.Metadata.Error, "")
	equal(t, "after a login: the state of the keys", p.Keys.State, op.OK)
	differs(t, "after a login: the number of usable keys", p.Keys.Usable, 0)
	equal(t, "after a login: the keys were read before the test", p.Keys.Read.Before(began), false)
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"} {
		if !slices.Contains(p.Endpoints, name) {
			t.Errorf("%s is missing in %q", name, p.Endpoints)
		}
	}
	p = all["down"]
	equal(t, "the provider that is down: the state of the metadata", p.Metadata.State, op.Failing)
	equal(t, "the provider that is down: the metadata failed before the test", p.Metadata.Failed.Before(began), false)
	equal(t, "the provider that is down: the metadata was never read", p.Metadata.Read.IsZero(), true)
	equal(t, "the provider that is down: the metadata has no next try", p.Metadata.Next.IsZero(), false)
	contains(t, "the provider that is down: the error of the metadata", p.Metadata.Error, "refused")
	_, text, _ := r.admin("GET", "/oidc_rp/providers", "")
	for _, secret := range append(idp.Canaries(), idp.Client().Secret, "a secret of the down one") {
		if strings.Contains(text, secret) {
			t.Errorf("the answer holds a secret: %s", text)
		}
	}
	if strings.Contains(text, "0001-01-01") {
		t.Errorf("a time that never was: %s", text)
	}
}

const publicKey = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
