package oidcrp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
)

// loaded is what `caddy validate` does with a Caddyfile, and what it shows.
// Nothing is started.
func loaded(t *testing.T, text string, globals ...string) (log string, err error) {
	t.Helper()
	logFile := filepath.Join(t.TempDir(), "log")
	storage := filepath.Join(t.TempDir(), "absent")
	text = fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\nstorage file_system %s\nlog {\noutput file %s\n}\n%s\n}\n%s", storage, logFile, strings.Join(globals, "\n"), text)
	config, err := adapt(text)
	if err != nil {
		t.Fatalf("adapt: %v\n%s", err, text)
	}
	return loadedJSON(t, config, logFile, storage)
}

func loadedJSON(t *testing.T, config []byte, logFile, storage string) (log string, err error) {
	t.Helper()
	ctx, err := provision(config)
	if err == nil {
		t.Cleanup(func() {
			module, err := ctx.App("oidc_rp")
			if err != nil {
				t.Fatal(err)
			}
			cleanUp(t, module.(*oidcrp.App))
		})
	}
	if _, statErr := os.Stat(storage); !os.IsNotExist(statErr) {
		t.Errorf("the storage was touched: %v", statErr)
	}
	content, readErr := os.ReadFile(logFile)
	if readErr != nil && !os.IsNotExist(readErr) {
		t.Fatal(readErr)
	}
	return string(content), err
}

const (
	anyProvider = "issuer https://login.example.com\nclient_id rp\n"
	corpShared  = `
oidc_rp {
	provider corp {
		issuer https://login.corp.example
		client_id rp
	}
}
`
	coversNone   = "covers none of the site's host names"
	notCovered   = "the cookie's domain does not cover a host name of the site"
	notServed    = "base_url names a host that this site does not serve"
	othersServed = "base_url pins the site to one host, but the site serves others as well"
	noEndpoints  = "no other instance of the site serves them"
	noFolder     = "a path pattern does not match the folder itself"
)

func domainSite(hosts, options, domain string) string {
	return hosts + " {\noidc_rp {\n" + anyProvider + options + "\nsession {\ncookie {\ndomain " + domain + "\n}\n}\n}\n}"
}

// Fault C1. Contract 2.4: what can never work is refused, with the site's name.
func TestCookieDomainsAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, config, refused, warned string }{
		{"another domain", domainSite("app.example.com", "", "other.example"), coversNone, ""},
		{"a domain below the host", domainSite("example.com", "", "app.example.com"), coversNone, ""},
		{"a sibling", domainSite("app.example.com", "", "www.example.com"), coversNone, ""},
		{"the end of a label", domainSite("myexample.com", "", "example.com"), coversNone, ""},
		{"none of several", domainSite("a.example, b.example", "", "c.example"), coversNone, ""},
		{"a wildcard elsewhere", domainSite("*.example.com", "", "example.org"), coversNone, ""},
		{"on plain HTTP", domainSite("http://app.example.com", "", "other.example"), coversNone, ""},
		{"with a port", domainSite("https://app.example.com:8443", "", "other.example"), coversNone, ""},
		{"base_url elsewhere, too", domainSite("app.example.com", "base_url https://www.example.com", "other.example"), coversNone, notServed},
		{"the host itself", domainSite("app.example.com", "", "app.example.com"), "", ""},
		{"the parent", domainSite("app.example.com", "", ".Example.com"), "", ""},
		{"a wildcard below", domainSite("*.example.com", "", "example.com"), "", ""},
		{"one of two", domainSite("app.example.com, app.example.org", "", "example.com"), "", notCovered},
		{"some of a wildcard", domainSite("*.example.com", "", "app.example.com"), "", notCovered},
		{"base_url's host", domainSite("app.internal", "base_url https://app.example.com", "example.com"), "", notServed},
		{"any host", domainSite(":8443", "base_url https://app.example.com", "example.com"), "", ""},
		{"any host, and base_url elsewhere", domainSite(":8443", "base_url https://app.example.com", "other.example"), "", notCovered},
		{"any host without base_url", domainSite(":8443", "", "other.example"), "", "answers to any host name"},
		{"a host from a placeholder", domainSite("http://{env.OIDC_HOST_OF_TEST}", "", "other.example"), "", ""},
		{"certificates on demand", "app.example.com {\ntls {\non_demand\n}\noidc_rp {\n" + anyProvider + "session {\ncookie {\ndomain other.example\n}\n}\n}\n}", "", notCovered},
		{"a top-level domain", domainSite("app.example.com", "", "com"), "", "browsers keep no cookie for a top-level domain"},
		{"a host of one label", domainSite("http://localhost", "", "localhost"), "", ""},
		{"a host inside a wildcard site", "*.example.com {\n@a host a.example.com\nhandle @a {\noidc_rp {\n" + anyProvider + "session {\ncookie {\ndomain b.example.com\n}\n}\n}\n}\n}", coversNone, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, tc.config, tc.refused, tc.warned)
		})
	}
}

// holdLoaded holds what a configuration is refused for, or else warned about.
func holdLoaded(t *testing.T, config, refused, warned string, globals ...string) {
	t.Helper()
	log, err := loaded(t, config, globals...)
	switch {
	case refused == "" && err != nil:
		t.Errorf("refused: %v", err)
	case refused != "" && (err == nil || !strings.Contains(err.Error(), refused)):
		t.Errorf("got the error %v, want %q", err, refused)
	case refused != "" && !strings.Contains(err.Error(), "site "):
		t.Errorf("the error does not name the site: %v", err)
	}
	holdWarnings(t, log, warned)
}

// holdWarnings holds that there is one warning, or none.
func holdWarnings(t *testing.T, log, warned string) {
	t.Helper()
	warnings := warningsIn(t, log)
	if warned == "" && len(warnings) > 0 || warned != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], warned) || !strings.Contains(warnings[0], `"site":`)) {
		t.Errorf("the warnings are %q, want %q", warnings, warned)
	}
}

// The domain of the global option, and of one site alone, count as well.
func TestSharedCookieDomainAtLoad(t *testing.T) {
	t.Parallel()
	shared := `
oidc_rp {
	provider corp {
		issuer https://login.corp.example
		client_id rp
	}
	session {
		cookie {
			domain corp.example
		}
	}
}
`
	holdLoaded(t, "a.corp.example {\noidc_rp\n}\nb.corp.example {\noidc_rp\n}", "", "", shared)
	log, err := loaded(t, "a.corp.example {\noidc_rp\n}\nwww.example.com {\noidc_rp\n}\nwww.example.org {\noidc_rp\n}", shared)
	if err == nil || !strings.Contains(err.Error(), "site www.example.com: ") || !strings.Contains(err.Error(), "site www.example.org: ") || strings.Contains(err.Error(), "site a.corp") {
		t.Errorf("the error is %v\n%s", err, log)
	}
}

// Faults C4, F8.
func TestBaseURLsAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, hosts, base, warned string }{
		{"the host itself", "app.example.com", "https://app.example.com", ""},
		{"another scheme and port", "http://app.example.com", "https://APP.example.com:8443", ""},
		{"another host", "app.example.com", "https://auth.example.com", notServed},
		{"outside of the wildcard", "*.example.com", "https://example.com", notServed},
		{"one of two hosts", "app.example.com, www.example.com", "https://www.example.com", othersServed},
		{"one of a wildcard's", "*.example.com", "https://www.example.com", othersServed},
		{"one host for many, report F8", "auth.corp.example, *.corp.example", "https://auth.corp.example", othersServed},
		{"any host", ":8443", "https://app.example.com", ""},
		{"plain HTTP", "http://app.example.com", "http://app.example.com", "base_url has the scheme http"},
		{"plain HTTP on loopback", "http://app.localhost", "http://app.localhost", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, tc.hosts+" {\noidc_rp {\n"+anyProvider+"base_url "+tc.base+"\n}\n}", "", tc.warned)
		})
	}
}

// Fault A2.
func TestEqualProviderIDsOnOneSite(t *testing.T) {
	t.Parallel()
	site := func(first, second string) string {
		return "app.example.com {\nhandle /admin* {\noidc_rp {\nprovider corp {\n" + first + "\n}\n}\n}\nhandle {\noidc_rp {\nprovider corp {\n" + second + "\n}\n}\n}\n}"
	}
	for _, tc := range []struct{ name, first, second, refused string }{
		{"equal", anyProvider, anyProvider, ""},
		{"defaults that are written down", anyProvider, anyProvider + "username_claim preferred_username sub\ngroups_claim groups\nclaims {\nrole role\n}", ""},
		{"what does not say who the user is", anyProvider, anyProvider + "scopes openid email\nauthorization_params {\nmax_age 60\n}", ""},
		{"issuer", anyProvider, "issuer https://login.example.org\nclient_id rp", "issuer (\"https://login.example.com\" and \"https://login.example.org\")"},
		{"configuration_url for the issuer", anyProvider, "configuration_url https://login.example.com/.well-known/openid-configuration\nclient_id rp", ""},
		{"client_id", anyProvider, "issuer https://login.example.com\nclient_id other", "client_id ("},
		{"username_claim", anyProvider, anyProvider + "username_claim nickname", "username_claim ("},
		{"order of username_claim", anyProvider + "username_claim a b", anyProvider + "username_claim b a", "username_claim ("},
		{"groups_claim", anyProvider + "groups_claim roles", anyProvider, "groups_claim ("},
		{"claims", anyProvider + "claims {\nrole a\n}", anyProvider + "claims {\nrole b\n}", "claims role ("},
		{"claims of one alone", anyProvider + "claims {\nrole a\n}", anyProvider, "claims role ("},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, site(tc.first, tc.second))
			if (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), "site app.example.com: provider corp: two instances of this site have different values of "+tc.refused) {
				t.Errorf("got the error %v, want %q\n%s", err, tc.refused, log)
			}
		})
	}
}

// Fault A2. Only instances that one request may come to are held to it.
func TestEqualProviderIDsElsewhere(t *testing.T) {
	t.Parallel()
	other := "issuer https://login.example.org\nclient_id rp\n"
	for _, tc := range []struct{ name, config, refused string }{
		{"two sites", "a.example.com {\noidc_rp {\n" + anyProvider + "}\n}\nb.example.com {\noidc_rp {\n" + other + "}\n}", ""},
		{"a site and the rest", "a.example.com {\noidc_rp {\n" + anyProvider + "}\n}\n:443 {\noidc_rp {\nbase_url https://x.example\n" + other + "}\n}", ""},
		{"hosts of a wildcard site", "*.example.com {\n@a host a.example.com\nhandle @a {\noidc_rp {\n" + anyProvider + "}\n}\n@b host b.example.com\nhandle @b {\noidc_rp {\n" + other + "}\n}\n}", ""},
		{"one host of a wildcard site and all of it", "*.example.com {\noidc_rp /x/* {\n" + anyProvider + "}\n@a host a.example.com\nhandle @a {\noidc_rp {\n" + other + "}\n}\n}", "two instances of this site"},
		{"endpoints and cookies of their own", "a.example.com {\nhandle /a* {\noidc_rp {\nendpoints /a/auth\nlogout_path /a/out\nsession {\ncookie a\n}\n" + anyProvider + "}\n}\nhandle {\noidc_rp {\n" + other + "}\n}\n}", ""},
		{"any host, in one site", ":443 {\nhandle /a* {\noidc_rp {\nbase_url https://x.example\n" + anyProvider + "}\n}\nhandle {\noidc_rp {\nbase_url https://x.example\n" + other + "}\n}\n}", "two instances of this site"},
		{"in a named route", "&(inner) {\nroute {\noidc_rp {\n" + other + "}\n}\n}\na.example.com {\noidc_rp {\n" + anyProvider + "}\ninvoke inner\n}", "two instances of this site"},
		{"in an import", "(inner) {\noidc_rp /x/* {\n" + other + "}\n}\na.example.com {\noidc_rp {\n" + anyProvider + "}\nimport inner\n}", "two instances of this site"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, tc.config)
			if (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("got the error %v, want %q\n%s", err, tc.refused, log)
			}
		})
	}
}

// Sites of a JSON configuration need not look like those of a Caddyfile.
func TestJSONSitesAtLoad(t *testing.T) {
	t.Parallel()
	ours := func(options string) string {
		return `{"handler": "oidc_rp", "own_providers": {"default": {"issuer": "https://login.example.com", "client_id": "rp"}}` + options + `}`
	}
	domain := `, "session": {"cookie": {"domain": "other.example"}}`
	for _, tc := range []struct{ name, routes, refused, warned string }{
		{"a flat route", `{"match": [{"host": ["app.example.com"]}], "handle": [` + ours(domain) + `]}`, "site app.example.com: session: cookie: domain other.example " + coversNone, ""},
		{"behind another handler", `{"match": [{"host": ["app.example.com"]}], "handle": [{"handler": "vars", "name": 1}, ` + ours(domain) + `]}`, coversNone, ""},
		{"two matcher sets", `{"match": [{"host": ["a.example"], "path": ["/x"]}, {"host": ["b.example"]}], "handle": [` + ours(domain) + `]}`, "site a.example, b.example: ", ""},
		{"a set for any host", `{"match": [{"host": ["a.example"]}, {"path": ["/x"]}], "handle": [` + ours(domain) + `]}`, "", "answers to any host"},
		{"deep", `{"match": [{"host": ["app.example.com"]}], "handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "subroute", "routes": [{"handle": [` + ours(domain) + `]}]}]}]}]}`, coversNone, ""},
		{"in an answer of a proxy", `{"match": [{"host": ["app.example.com"]}], "handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "127.0.0.1:1"}], "handle_response": [{"routes": [{"handle": [` + ours(domain) + `]}]}]}]}`, coversNone, ""},
		{"the second of two sites", `{"match": [{"host": ["a.example"]}], "handle": [` + ours("") + `]}, {"match": [{"host": ["b.example"]}], "handle": [` + ours(domain) + `]}`, "site b.example: ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			logFile, storage := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "absent")
			config := fmt.Sprintf(`{"admin": {"disabled": true}, "storage": {"module": "file_system", "root": %q}, "logging": {"logs": {"default": {"writer": {"output": "file", "filename": %q}}}},
				"apps": {"http": {"servers": {"s": {"listen": ["127.0.0.1:0"], "automatic_https": {"disable": true}, "routes": [%s]}}}}}`, storage, logFile, tc.routes)
			log, err := loadedJSON(t, []byte(config), logFile, storage)
			if (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("got the error %v, want %q", err, tc.refused)
			}
			holdWarnings(t, log, tc.warned)
		})
	}
}

// Fault D6. Errors of an instance name its site and the option.
func TestErrorsNameTheSite(t *testing.T) {
	t.Parallel()
	broken := "oidc_rp {\n" + anyProvider + "base_url https://{env.OIDC_NOT_SET}\n}"
	for _, tc := range []struct{ config, want string }{
		{"app.example.com, www.example.com {\n" + broken + "\n}", "site app.example.com, www.example.com: base_url: "},
		{":8443 {\n" + broken + "\n}", "site :8443: base_url: "},
		{"a.example.com {\noidc_rp {\n" + anyProvider + "}\n}\nb.example.com {\nhandle /x* {\n" + broken + "\n}\n}", "site b.example.com: base_url: "},
		{"*.example.com {\n@a host a.example.com\nhandle @a {\n" + broken + "\n}\n}", "site a.example.com: base_url: "},
	} {
		_, err := loaded(t, tc.config)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got the error %v, want %q\n%s", err, tc.want, tc.config)
		}
	}
}

func TestTheExampleIsNotWarnedAbout(t *testing.T) {
	for _, name := range []string{"CORP_CLIENT_ID", "CORP_CLIENT_SECRET", "PARTNERS_CLIENT_ID"} {
		t.Setenv(name, "of a test")
	}
	text, err := os.ReadFile("example.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	checkCaddyfile(t, "example.Caddyfile", string(text))
}

// The sites are read once for all of them.
func TestManySitesAreReadQuickly(t *testing.T) {
	t.Parallel()
	var sites strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&sites, `
http://s%d.example.com {
	oidc_rp {
		provider corp
	}
	handle /x* {
		respond x
	}
}
`, i)
	}
	log, err := loaded(t, sites.String(), corpShared)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := warningsIn(t, log); len(warnings) > 0 {
		t.Errorf("the warnings are %q", warnings)
	}
}

// What instances do to each other's cookies is found without starting anything.
func TestCookiesThatMeetAtLoad(t *testing.T) {
	t.Parallel()
	log, err := loaded(t, `
app.example.com {
	handle /one* {
		oidc_rp {
			issuer https://login.example.com
			client_id rp
			session {
				cookie app_1
			}
		}
	}
	handle /two* {
		oidc_rp {
			issuer https://login.example.com
			client_id rp
			session {
				store memory
				cookie app_1
			}
		}
	}
	handle {
		oidc_rp {
			issuer https://login.example.com
			client_id rp
			session {
				cookie app
			}
		}
	}
}`)
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(warningsIn(t, log), "")
	for _, want := range []string{
		"two instances on this site have cookies of the same name, of which each clears what the other has set",
		"a session cookie cannot be split further, since another instance has a cookie of that name",
	} {
		if got := strings.Count(warnings, want); got != 1 {
			t.Errorf("there are %d warnings %q, want one\n%s", got, want, warnings)
		}
	}
}
