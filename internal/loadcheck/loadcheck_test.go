package loadcheck

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// testInstance is the JSON of a handler in these tests.
type testInstance struct {
	Base, Domain, Cookie, Store, Endpoints, SignedOut, Client string
	Public, Insecure                                          bool
	Private                                                   []string // path patterns
	Provider                                                  Provider // only what determines who a user is
}

// sitesOf parses the sites of a server with these routes.
func sitesOf(t *testing.T, routes string) []*Site {
	t.Helper()
	server := &httpconfig.Server{Listen: []string{":443"}, Ports: []int{443}, TLS: true}
	if err := json.Unmarshal([]byte(routes), &server.Routes); err != nil {
		t.Fatalf("%v: %s", err, routes)
	}
	return Sites(&httpconfig.App{Servers: map[string]*httpconfig.Server{"s": server}}, "ours", func(raw json.RawMessage) (o Options, ok bool) {
		i := testInstance{Endpoints: "/auth", Cookie: "app", Client: "rp"}
		if json.Unmarshal(raw, &i) != nil {
			return o, false
		}
		o = Options{
			BaseURL: i.Base, Public: i.Public, Endpoints: i.Endpoints, SignedOut: i.SignedOut,
			Providers: []Provider{i.Provider},
			Session:   Session{Cookie: Cookie{Name: i.Cookie, Domain: i.Domain, Insecure: i.Insecure}, Store: i.Store},
		}
		p := &o.Providers[0]
		p.ID, p.Own, p.Issuer, p.ClientID = "corp", true, "https://login.example", i.Client
		if i.Base != "" {
			base, err := address.ParseOrigin(i.Base)
			if err != nil {
				t.Fatal(err)
			}
			o.Base = &base
		}
		if i.Private != nil {
			patterns, err := json.Marshal(i.Private)
			if err != nil {
				t.Fatal(err)
			}
			o.Routes = []Route{{Private: true, Match: []httpconfig.MatcherSet{{"path": patterns}}}}
		}
		return o, true
	})
}

func site(host, handlers string) string {
	return `[{"match": [{"host": ["` + host + `"]}], "handle": [` + handlers + `]}]`
}

func handle(path, handlers string) string {
	return `{"handler": "subroute", "routes": [{"match": [{"path": ["` + path + `"]}], "handle": [` + handlers + `]}]}`
}

// For each check there is a configuration with the mistake and a similar one without
// it.
func TestChecks(t *testing.T) {
	t.Parallel()
	const ours = `{"handler": "ours"}`
	for _, tc := range []struct {
		name, routes string
		level        slog.Level
		message      string // "": no finding
		attrs        string
	}{
		{"nothing wrong", site("a.example", ours), 0, "", ""},
		{"any host", `[{"handle": [` + ours + `]}]`, slog.LevelWarn, "answers to any host name", "listen=[:443] site=:443"},
		{"any host with base_url", `[{"handle": [{"handler": "ours", "base": "https://a.example"}]}]`, 0, "", ""},
		{"base_url elsewhere", site("a.example", `{"handler": "ours", "base": "https://b.example"}`), slog.LevelWarn, "does not serve", "base_url=https://b.example site=a.example"},
		{"base_url for some of the hosts", site("*.example", `{"handler": "ours", "base": "https://b.example"}`), slog.LevelWarn, "serves others as well", "base_url=https://b.example other_hosts=[*.example] site=*.example"},
		{"base_url on plain HTTP", site("a.example", `{"handler": "ours", "base": "http://a.example"}`), slog.LevelWarn, "has the scheme http", "base_url=http://a.example site=a.example"},
		{"base_url on plain HTTP, allowed", site("a.example", `{"handler": "ours", "base": "http://a.example", "insecure": true}`), 0, "", ""},
		{"the cookie of another domain", site("a.example", `{"handler": "ours", "domain": "b.example"}`), slog.LevelError, "site a.example: session: cookie: domain b.example covers none", ""},
		{"the cookie of some hosts", site("*.b.example", `{"handler": "ours", "domain": "a.b.example"}`), slog.LevelWarn, "does not cover a host name", "domain=a.b.example hosts=[*.b.example] site=*.b.example"},
		{"the cookie of a top-level domain", site("a.example", `{"handler": "ours", "domain": "example"}`), slog.LevelWarn, "top-level domain", "domain=example site=a.example"},
		{"the cookie of the parent", site("a.b.example", `{"handler": "ours", "domain": "b.example"}`), 0, "", ""},
		{"an open folder", site("a.example", `{"handler": "ours", "public": true, "private": ["/x/*"]}`), slog.LevelWarn, "does not match the folder itself", "option=private pattern=/x/* not_matched=/x site=a.example"},
		{"a closed folder", site("a.example", `{"handler": "ours", "public": true, "private": ["/x", "/x/*"]}`), 0, "", ""},
		{"endpoints out of reach", site("a.example", handle("/x/*", ours)), slog.LevelWarn, "logins cannot end", "provider=corp endpoint=/auth/corp/code site=a.example"},
		{"endpoints of another instance", site("a.example", handle("/x/*", ours)+","+handle("/auth/*", ours)), 0, "", ""},
		{"endpoints of another instance under another prefix", site("a.example", handle("/x/*", ours)+`,{"handler": "ours", "endpoints": "/other"}`), slog.LevelWarn, "logins cannot end", "provider=corp endpoint=/auth/corp/code site=a.example"},
		{"a private page after a logout", site("a.example", `{"handler": "ours", "signedOut": "/bye?x"}`), slog.LevelWarn, "signed_out leads to a private page", "signed_out=/bye?x site=a.example"},
		{"a public page after a logout", site("a.example", `{"handler": "ours", "public": true, "signedOut": "/bye"}`), 0, "", ""},
		{"one id for two clients", site("a.example", ours+`,{"handler": "ours", "client": "other"}`), slog.LevelError, `site a.example: provider corp: two instances of this site have different values of client_id ("rp" and "other")`, ""},
		{"one id for groups and some of them", site("a.example", ours+`,{"handler": "ours", "provider": {"groups": ["a", "b"]}}`), slog.LevelError, `different values of groups ("" and "a b")`, ""},
		{"one id for two names of a group", site("a.example", `{"handler": "ours", "provider": {"groupNames": {"a": "b"}}},{"handler": "ours", "provider": {"groupNames": {"a": "c"}}}`), slog.LevelError, `different values of groups a ("b" and "c")`, ""},
		{"one id for trusted addresses and others", site("a.example", ours+`,{"handler": "ours", "provider": {"emailTrusted": true}}`), slog.LevelError, `different values of email_trusted ("false" and "true")`, ""},
		{"one id for two tenants", site("a.example", ours+`,{"handler": "ours", "provider": {"tenants": ["t"]}}`), slog.LevelError, `different values of tenants ("" and "t")`, ""},
		{"one id for the same domains", site("a.example", `{"handler": "ours", "provider": {"domains": ["a", "B"]}},{"handler": "ours", "provider": {"domains": ["b", "A"]}}`), 0, "", ""},
		{"one id for two clients, apart", site("a.example", ours+`,{"handler": "ours", "client": "other", "endpoints": "/other", "cookie": "other"}`), 0, "", ""},
		{"one cookie for two stores", site("a.example", ours+`,{"handler": "ours", "store": "{}"}`), slog.LevelWarn, "two instances on this site have cookies of the same name", "cookie=app providers=[corp] other_providers=[corp] site=a.example"},
		{"two cookies for two stores", site("a.example", ours+`,{"handler": "ours", "store": "{}", "cookie": "other"}`), 0, "", ""},
		{"a rule behind a block", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "file_server"}]}]}]},
			{"match": [{"expression": "{http.auth.user.id} == 'x'"}], "handle": [{"handler": "error"}]}]}`), slog.LevelWarn, RuleBehindHandle, "site=a.example"},
		{"a rule for a path", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"match": [{"path": ["/x"], "expression": "{http.auth.user.id} == 'x'"}], "handle": [{"handler": "static_response", "status_code": 403}]}]}`), slog.LevelWarn, RuleByPath, "site=a.example"},
		{"a matcher of users behind a block", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "file_server"}]}]}]},
			{"match": [{"oidc_rp": {}}], "handle": [{"handler": "error"}]}]}`), slog.LevelWarn, RuleBehindHandle, "site=a.example"},
		{"a matcher of claims for a path", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"match": [{"path": ["/x"], "not": [{"oidc_rp_claim": {"a": null}}]}], "handle": [{"handler": "static_response", "status_code": 403}]}]}`), slog.LevelWarn, RuleByPath, "site=a.example"},
		{"a matcher of users for a path, as a function", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"match": [{"expression": "path('/x') && !oidc_rp('group', 'a')"}], "handle": [{"handler": "static_response", "status_code": 403}]}]}`), slog.LevelWarn, RuleByPath, "site=a.example"},
		{"a rule for a whole site", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"match": [{"expression": "{http.auth.user.id} == 'x'"}], "handle": [{"handler": "static_response", "status_code": "403"}]}]}`), 0, "", ""},
		{"a response to some users", site("a.example", ours+`,{"handler": "subroute", "routes": [
			{"match": [{"path": ["/x"], "expression": "{http.auth.user.id} == 'x'"}], "handle": [{"handler": "static_response", "status_code": 200}]}]}`), 0, "", ""},
	} {
		findings := Run(sitesOf(t, tc.routes), nil)
		if tc.message == "" {
			if len(findings) > 0 {
				t.Errorf("%s: got %v, want nothing", tc.name, findings)
			}
			continue
		}
		if len(findings) != 1 {
			t.Errorf("%s: got %v, want one finding", tc.name, findings)
			continue
		}
		f := findings[0]
		if f.Level != tc.level {
			t.Errorf("%s: the level: expected %v, seen %v", tc.name, tc.level, f.Level)
		}
		if !strings.Contains(f.Message, tc.message) {
			t.Errorf("%s: the message: expected %q, seen %q", tc.name, tc.message, f.Message)
		}
		var attrs []string
		for _, attr := range f.Attrs {
			attrs = append(attrs, attr.String())
		}
		if got := strings.Join(attrs, " "); got != tc.attrs {
			t.Errorf("%s: the attributes: expected %q, seen %q", tc.name, tc.attrs, got)
		}
		if isError := tc.level == slog.LevelError; (f.Err != nil) != isError {
			t.Errorf("%s: the error is %v, want one: %t", tc.name, f.Err, isError)
		}
	}
}

func TestHostsWithCertificatesOnDemand(t *testing.T) {
	t.Parallel()
	sites := sitesOf(t, site("a.example", `{"handler": "ours", "domain": "b.example"}`))
	for _, tc := range []struct {
		name     string
		policies []CertificatePolicy
		want     slog.Level
	}{
		{"none", nil, slog.LevelError},
		{"for all hosts", []CertificatePolicy{{OnDemand: true}}, slog.LevelWarn},
		{"for the host", []CertificatePolicy{{Subjects: []string{"*.example"}, OnDemand: true}}, slog.LevelWarn},
		{"for other hosts", []CertificatePolicy{{Subjects: []string{"c.example"}, OnDemand: true}}, slog.LevelError},
		{"after another policy for the host", []CertificatePolicy{{Subjects: []string{"a.example"}}, {OnDemand: true}}, slog.LevelError},
	} {
		findings := Run(sites, tc.policies)
		if len(findings) != 1 || findings[0].Level != tc.want {
			t.Errorf("%s: got %v, want one of level %v", tc.name, findings, tc.want)
		}
	}
}

// A problem of two instances is reported once.
func TestFindingsAreNotRepeated(t *testing.T) {
	t.Parallel()
	findings := Run(sitesOf(t, `[{"handle": [{"handler": "ours"}, {"handler": "ours"}]}]`), nil)
	if len(findings) != 1 {
		t.Errorf("got %v, want one finding", findings)
	}
}

func TestRegistrations(t *testing.T) {
	t.Parallel()
	const ours = `{"handler": "ours"}`
	for _, tc := range []struct{ name, routes, want string }{
		{"a host", site("a.example", ours), "https://a.example/auth/corp/code"},
		{"a wildcard", site("*.example", ours), ""},
		{"any host", `[{"handle": [` + ours + `]}]`, ""},
		{"base_url", site("*.example", `{"handler": "ours", "base": "https://b.example:8443"}`), "https://b.example:8443/auth/corp/code"},
		{"two instances", site("a.example", ours+","+ours), "https://a.example/auth/corp/code"},
		{"out of reach", site("a.example", handle("/x", ours)), ""},
	} {
		var got []string
		for _, r := range Registrations(sitesOf(t, tc.routes)) {
			got = append(got, r.RedirectURI)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, got)
		}
	}
}
