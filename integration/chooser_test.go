package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// choosers are the providers of a site where users choose, in its order.
var choosers = []string{"corp", "partners", "guests"}

// newChooser is a site with three providers, none of which is the default one. Its
// application receives who the user is. more are options of a provider by its id, and
// of the site.
func newChooser(t *testing.T, more map[string]string) (r *harness, ops map[string]*oidctest.Provider) {
	t.Helper()
	ops = make(map[string]*oidctest.Provider)
	var providers strings.Builder
	for _, id := range choosers {
		ops[id] = newOP(t, oidctest.ClaimsInIDToken())
		ops[id].Register(rpURL + "/@app/auth/" + id + "/code")
		providers.WriteString(`provider ` + id + ` {
			` + options(ops[id]) + more[id] + `
		}
		`)
	}
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp `+more["mode"]+` {
		provider `+strings.Join(choosers, " ")+`
		upstream {
			header X-User {http.auth.user.id}
			header X-Groups groups
			header X-Email email
		}
		`+more["site"]+`
	}
	respond /login_url "{http.oidc_rp.login_url}"
	reverse_proxy {upstream}
}
`, `oidc_rp {
		`+providers.String()+`
	}`), ops
}

func TestAPrivatePageLeadsToTheChooser(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{"corp": `name "Corporate <account>"`})
	b := r.browser()
	check(t, b.get("/page?a=b&c=d")).status(http.StatusFound).leadsTo("/@app/auth/?returnto=%2Fpage%3Fa%3Db%26c%3Dd").header("Cache-Control", "no-store").setsCookies(0)
	p := b.open("/page?a=b&c=d")
	check(t, p).status(http.StatusOK).setsCookies(0).header("Cache-Control", "no-store").
		shows("Corporate &lt;account&gt;", ">partners<", ">guests<", `href="/@app/auth/partners/login?returnto=%2Fpage%3Fa%3Db%26c%3Dd"`).
		headerHas("Content-Security-Policy", "default-src 'none'", "frame-ancestors 'none'", "; form-action 'self' ", " "+ops["corp"].Issuer(), " "+ops["partners"].Issuer(), " "+ops["guests"].Issuer())
	check(t, b.open("/@app/auth/partners/login?returnto=%2Fpage%3Fa%3Db%26c%3Dd")).status(http.StatusOK).at(rpURL + "/page?a=b&c=d")
	header, _ := r.upstream.got()
	equal(t, "the user", header.Get("X-User"), "partners/alice")
}

func TestWithoutADefaultProvider(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, map[string]string{"site": "public /login_url"})
	b := r.browser()
	check(t, b.get("/@app/auth/default/login")).status(http.StatusNotFound)
	check(t, b.get("/@app/auth")).status(http.StatusNotFound)
	check(t, b.send(http.MethodPost, "/@app/auth/", nil)).status(http.StatusMethodNotAllowed).header("Allow", http.MethodGet)
	check(t, b.get("/login_url")).body("/@app/auth/?returnto=%2Flogin_url")
	check(t, b.get("/Special:UserLogout")).status(http.StatusOK).shows(`href="/@app/auth/"`)
	check(t, b.send(http.MethodGet, "/api", map[string]string{"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Referer": rpURL + "/app"})).
		status(http.StatusUnauthorized).shows(`"login_url":"/@app/auth/?returnto=%2Fapp"`)
	check(t, b.send(http.MethodPost, "/form", nil)).status(http.StatusUnauthorized).shows(`href="/@app/auth/"`)
}

func TestAnAddressLeadsToItsProvider(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{"corp": "domains corp.example Corp.Test", "guests": "disabled\ndomains guests.example"})
	for _, row := range []struct {
		name, entered string
		to            string // empty: the page
	}{
		{"a domain of the provider", "bob@corp.example", "corp"},
		{"in another case", "Bob@CORP.test", "corp"},
		{"with spaces around", " bob@corp.example ", "corp"},
		{"another domain", "bob@other.example", ""},
		{"a subdomain", "bob@x.corp.example", ""},
		{"a user name", "bob", ""},
		{"two at signs", "bob@x@corp.example", ""},
		{"a domain of a disabled provider", "bob@guests.example", ""},
		{"no local part", "@corp.example", ""},
		{"a domain that is not ASCII", "bob@corp.exampl\u0435", ""},
		{"too long", strings.Repeat("b", 101-len("@corp.example")) + "@corp.example", ""},
		{"as long as can be", strings.Repeat("b", 100-len("@corp.example")) + "@corp.example", "corp"},
		{"a line end inside", "bob\n@corp.example", ""},
	} {
		p := r.browser().send(http.MethodGet, "/@app/auth/?returnto=%2Fpage&max_age=60&login_hint="+url.QueryEscape(row.entered), map[string]string{"Sec-Fetch-Site": "same-origin"})
		if row.to == "" {
			check(t, p, row.name).status(http.StatusOK).setsCookies(0).shows("Please choose", `/@app/auth/partners/login?returnto=%2Fpage&amp;max_age=60`).hides("bob", "guests")
			continue
		}
		check(t, p, row.name).status(http.StatusFound).leadsInto(ops[row.to].Issuer()).leadsWith("login_hint="+url.QueryEscape(strings.TrimSpace(row.entered)), "max_age=60")
	}
	for _, site := range []string{"cross-site", "same-site"} {
		p := r.browser().send(http.MethodGet, "/@app/auth/?login_hint=bob%40corp.example", map[string]string{"Sec-Fetch-Site": site})
		check(t, p, site).status(http.StatusOK).setsCookies(0)
	}
}
