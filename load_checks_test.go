package oidcrp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
)

// loaded does what `caddy validate` does with a Caddyfile, and returns its log. It
// starts nothing.
func loaded(t *testing.T, text string, globals ...string) (log string, err error) {
	t.Helper()
	logFile := filepath.Join(t.TempDir(), "log")
	storage := filepath.Join(t.TempDir(), "absent")
	text = fmt.Sprintf(`{
		admin off
		persist_config off
		auto_https off
		storage file_system %s
		log {
			output file %s
		}
		%s
	}
	%s
	%s`, storage, logFile, strings.Join(globals, "\n"), snippets, text)
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
		t.Cleanup(func() { unload.Config(ctx) })
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
	// snippets are imported by the Caddyfiles of these tests.
	snippets = `
(any_provider) {
	issuer https://login.example.com
	client_id rp
}
(other_provider) {
	issuer https://login.example.org
	client_id rp
}
(guard) {
	oidc_rp {
		provider corp
	}
}
(broken) {
	oidc_rp {
		import any_provider
		base_url https://{env.OIDC_NOT_SET}
	}
}
(guard_and_matcher) {
	oidc_rp {
		import any_provider
	}
	@stranger expression "!('admins' in {http.auth.user.groups})"
}
`
	corpShared = `
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
	return fmt.Sprintf(`%s {
		oidc_rp {
			import any_provider
			%s
			session {
				cookie {
					domain %s
				}
			}
		}
	}`, hosts, options, domain)
}

// A cookie domain that can never work is refused, with the site's name.
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
		{"certificates on demand", `app.example.com {
			tls {
				on_demand
			}
			oidc_rp {
				import any_provider
				session {
					cookie {
						domain other.example
					}
				}
			}
		}`, "", notCovered},
		{"a top-level domain", domainSite("app.example.com", "", "com"), "", "browsers keep no cookie for a top-level domain"},
		{"a host of one label", domainSite("http://localhost", "", "localhost"), "", ""},
		{"a host inside a wildcard site", `*.example.com {
			@a host a.example.com
			handle @a {
				oidc_rp {
					import any_provider
					session {
						cookie {
							domain b.example.com
						}
					}
				}
			}
		}`, coversNone, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, tc.config, tc.refused, tc.warned)
		})
	}
}

// holdLoaded checks what a configuration is refused for, or else warned about.
func holdLoaded(t *testing.T, config, refused, warned string, globals ...string) {
	t.Helper()
	log, err := loaded(t, config, globals...)
	holdRefused(t, err, refused, log)
	if err != nil && !strings.Contains(err.Error(), "site ") {
		t.Errorf("expected an error that names the site, seen %v", err)
	}
	holdWarnings(t, log, warned)
}

// holdRefused checks the error of a configuration, or that there is none.
func holdRefused(t *testing.T, err error, refused, log string) {
	t.Helper()
	switch {
	case err == nil && refused != "":
		t.Errorf("expected the error %q, seen none\n%s", refused, log)
	case err != nil && refused == "":
		t.Errorf("expected no error, seen %v\n%s", err, log)
	case err != nil && !strings.Contains(err.Error(), refused):
		t.Errorf("expected the error %q, seen %v\n%s", refused, err, log)
	}
}

// holdWarnings checks that there is one warning, or none.
func holdWarnings(t *testing.T, log, warned string) {
	t.Helper()
	warnings := warningsIn(t, log)
	if warned == "" {
		if len(warnings) > 0 {
			t.Errorf("expected no warnings, seen %q", warnings)
		}
		return
	}
	if len(warnings) != 1 {
		t.Fatalf("expected one warning, %q, seen %q", warned, warnings)
	}
	for _, want := range []string{warned, `"site":`} {
		if !strings.Contains(warnings[0], want) {
			t.Errorf("expected a warning with %q, seen %s", want, warnings[0])
		}
	}
}

// The domain of the global option counts as well. Each site that it does not cover is
// refused.
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
	holdLoaded(t, `a.corp.example {
		oidc_rp
	}
	b.corp.example {
		oidc_rp
	}`, "", "", shared)
	log, err := loaded(t, `a.corp.example {
		oidc_rp
	}
	www.example.com {
		oidc_rp
	}
	www.example.org {
		oidc_rp
	}`, shared)
	if err == nil {
		t.Fatalf("expected an error, seen none\n%s", log)
	}
	for site, want := range map[string]bool{"site www.example.com: ": true, "site www.example.org: ": true, "site a.corp": false} {
		if got := strings.Contains(err.Error(), site); got != want {
			t.Errorf("%q: expected it in the error %t, seen %v", site, want, err)
		}
	}
}

// Caddy warns about a base_url that the site does not serve, that leaves other hosts of
// the site out, or that has plain HTTP.
func TestBaseURLsAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, hosts, base, warned string }{
		{"the host itself", "app.example.com", "https://app.example.com", ""},
		{"another scheme and port", "http://app.example.com", "https://APP.example.com:8443", ""},
		{"another host", "app.example.com", "https://auth.example.com", notServed},
		{"outside of the wildcard", "*.example.com", "https://example.com", notServed},
		{"one of two hosts", "app.example.com, www.example.com", "https://www.example.com", othersServed},
		{"one of a wildcard's", "*.example.com", "https://www.example.com", othersServed},
		{"one host for many", "auth.corp.example, *.corp.example", "https://auth.corp.example", othersServed},
		{"any host", ":8443", "https://app.example.com", ""},
		{"plain HTTP", "http://app.example.com", "http://app.example.com", "base_url has the scheme http"},
		{"plain HTTP on loopback", "http://app.localhost", "http://app.localhost", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, fmt.Sprintf(`%s {
				oidc_rp {
					import any_provider
					base_url %s
				}
			}`, tc.hosts, tc.base), "", tc.warned)
		})
	}
}

// Sites of a JSON configuration may have other shapes than those of a Caddyfile.
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
			holdRefused(t, err, tc.refused, log)
			holdWarnings(t, log, tc.warned)
		})
	}
}

// Caddy warns about cookies of instances that conflict, without starting anything.
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
		"two instances on this site have cookies of the same name and clear each other's",
		"a session cookie cannot be split further, because another instance has a cookie of that name",
	} {
		if got := strings.Count(warnings, want); got != 1 {
			t.Errorf("there are %d warnings %q, want one\n%s", got, want, warnings)
		}
	}
}
