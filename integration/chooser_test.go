package integration_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// choosers are the providers of newChooser's site, in the order of the page.
var choosers = []string{"corp", "partners", "guests"}

// newChooser returns a site with three providers and no default one. The application receives
// the user's identity. more has options for each provider by id, and for the site.
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
		to            string // empty: the page is shown again
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

// signedInAt returns a browser whose user has signed in at one of the chooser's providers.
func (r *harness) signedInAt(id string) *browser {
	r.t.Helper()
	b := r.browser()
	check(required{r.t}, b.open("/@app/auth/"+id+"/login?returnto=/page")).status(http.StatusOK)
	return b
}

// namesOf returns the texts of the chooser's links in order.
func namesOf(p *visited) (names []string) {
	for _, m := range regexp.MustCompile(`<li><a [^>]*>([^<]*)</a></li>`).FindAllStringSubmatch(p.body, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestTheChoiceIsRemembered(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, nil)
	b := r.browser()
	list(t, "the choices at first", namesOf(b.get("/@app/auth/")), "corp", "partners", "guests")
	b = r.signedInAt("partners")
	check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
	p := b.get("/@app/auth/?returnto=/page")
	check(t, p).status(http.StatusOK).setsCookies(0).shows(`autofocus>Continue with partners</a>`)
	list(t, "the choices after a sign-in", namesOf(p), "Continue with partners", "corp", "guests")
	check(t, b.get("/page")).leadsTo("/@app/auth/?returnto=%2Fpage")
	check(t, b.open("/@app/auth/guests/login?returnto=/page")).status(http.StatusOK)
	check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
	list(t, "the choices after another sign-in", namesOf(b.get("/@app/auth/")), "Continue with guests", "corp", "partners")
}

// A forged choice, or one set by another host of the domain, is ignored.
func TestAChoiceThatIsNotOursCountsForNothing(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, nil)
	b := r.signedInAt("partners")
	choice, session := b.cookies()["__Host-oidc_rp_choice"], b.cookies()["__Host-oidc_rp_last"]
	for name, value := range map[string]string{
		"in clear": "partners", "of another purpose": session, "cut": choice[:len(choice)-1], "changed": changedSeal(choice), "empty": "",
	} {
		p := r.browser().send(http.MethodGet, "/@app/auth/", map[string]string{"Cookie": "__Host-oidc_rp_choice=" + value})
		list(t, name, namesOf(p), "corp", "partners", "guests")
	}
	p := r.browser().send(http.MethodGet, "/@app/auth/", map[string]string{"Cookie": "oidc_rp_choice=" + choice})
	list(t, "without the prefix", namesOf(p), "corp", "partners", "guests")
	p = r.browser().send(http.MethodGet, "https://other.test/@app/auth/", map[string]string{"Cookie": "__Host-oidc_rp_choice=" + choice})
	lacks(t, "at another host", p.body, "Continue with")
}

// changedSeal changes a character in the middle of a sealed value.
func changedSeal(sealed string) string {
	i := len(sealed) / 2
	other := "A"
	if sealed[i] == 'A' {
		other = "B"
	}
	return sealed[:i] + other + sealed[i+1:]
}

func TestRememberedCookiesAreOfThisHostAlone(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		session string
		maxAge  [2]int // of the choice and of the last session
	}{
		"by default":         {"lifetime 12h", [2]int{365 * 24 * 3600, (12 + 72) * 3600}},
		"with a domain":      {"cookie {\ndomain rp.test\n}\nlifetime 12h", [2]int{365 * 24 * 3600, (12 + 72) * 3600}},
		"transient sessions": {"cookie {\ntransient\n}\nlifetime 12h", [2]int{365 * 24 * 3600, 0}},
	} {
		r, _ := newChooser(t, map[string]string{"site": "session {\n" + row.session + "\n}"})
		r.at(stop(t).now)
		p := r.browser().open("/@app/auth/corp/login?returnto=/page", "/page")
		seen := 0
		for _, c := range p.Cookies() {
			i := slices.Index([]string{"__Host-oidc_rp_choice", "__Host-oidc_rp_last"}, c.Name)
			if i < 0 {
				continue
			}
			seen++
			equal(t, name+": "+c.Name+": Domain", c.Domain, "")
			equal(t, name+": "+c.Name+": Path", c.Path, "/")
			equal(t, name+": "+c.Name+": HttpOnly", c.HttpOnly, true)
			equal(t, name+": "+c.Name+": Secure", c.Secure, true)
			equal(t, name+": "+c.Name+": SameSite", c.SameSite, http.SameSiteLaxMode)
			equal(t, name+": "+c.Name+": Max-Age", c.MaxAge, row.maxAge[i])
		}
		equal(t, name+": cookies", seen, 2)
	}
}

// endedScene is a browser that signed in at partners, with what a test does before its next
// visit.
type endedScene struct {
	*browser
	r   *harness
	ops map[string]*oidctest.Provider
}

func (s *endedScene) signOut() { s.get("/Special:UserLogout") }

// drop removes a cookie from the browser.
func (s *endedScene) drop(name string) { s.set(name, "", -1) }

func (s *endedScene) set(name, value string, maxAge int) {
	u, _ := url.Parse(rpURL)
	s.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true, MaxAge: maxAge}})
}

// logOutAtProvider makes the provider end the session.
func (s *endedScene) logOutAtProvider() {
	form := "logout_token=" + url.QueryEscape(s.ops["partners"].LogoutToken("", s.ops["partners"].Issued().SID, oidctest.JWTLies{}))
	p := s.r.browser().post("/@app/auth/partners/backchannel-logout", form, map[string]string{"Accept": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Sec-Fetch-Site": ""})
	check(s.r.t, p).status(http.StatusOK)
}

func TestASessionThatEndedByTimeLeadsToItsProvider(t *testing.T) {
	t.Parallel()
	stop(t)
	const store = "session {\nstore "
	for name, row := range map[string]struct {
		site  string
		after time.Duration
		did   func(s *endedScene)
		leads bool
	}{
		"by its lifetime":          {after: 12*time.Hour + time.Minute, leads: true},
		"the cookie has gone":      {after: 13 * time.Hour, leads: true, did: func(s *endedScene) { s.drop("__Host-oidc_rp") }},
		"days ago":                 {after: 80 * time.Hour, leads: true},
		"too long ago":             {after: 85 * time.Hour},
		"idle":                     {site: "session {\nidle_timeout 1h\n}", after: 61 * time.Minute, leads: true},
		"idle in a store":          {site: store + "memory\nidle_timeout 1h\n}", after: 61 * time.Minute, leads: true},
		"in memory":                {site: store + "memory\n}", after: 13 * time.Hour, leads: true},
		"in the storage":           {site: store + "storage\n}", after: 13 * time.Hour, leads: true},
		"with a default provider":  {site: "default_provider corp", after: 13 * time.Hour, leads: true},
		"signed out":               {after: 13 * time.Hour, did: (*endedScene).signOut},
		"signed out after its end": {after: 13 * time.Hour, did: func(s *endedScene) { s.r.ahead(13 * time.Hour); s.signOut() }},
		"revoked":                  {after: 13 * time.Hour, did: (*endedScene).logOutAtProvider},
		"revoked, long ago":        {after: 80 * time.Hour, did: (*endedScene).logOutAtProvider},
		"revoked in the storage":   {site: store + "storage\n}", after: 80 * time.Hour, did: (*endedScene).logOutAtProvider},
		"revoked in memory":        {site: store + "memory\n}", after: 80 * time.Hour, did: (*endedScene).logOutAtProvider},
		"revoked, and idle":        {site: "session {\nidle_timeout 1h\n}", after: 2 * time.Hour, did: (*endedScene).logOutAtProvider},
		"revoked, and seen since": {after: 13 * time.Hour, did: func(s *endedScene) {
			s.logOutAtProvider()
			s.get("/page")
			equal(s.r.t, "the last session", s.cookies()["__Host-oidc_rp_last"], "")
		}},
		"not ended":          {after: time.Minute, did: func(s *endedScene) { s.drop("__Host-oidc_rp") }},
		"a broken seal":      {after: 13 * time.Hour, did: func(s *endedScene) { s.set("__Host-oidc_rp_last", changedSeal(s.cookies()["__Host-oidc_rp_last"]), 0) }},
		"of another purpose": {after: 13 * time.Hour, did: func(s *endedScene) { s.set("__Host-oidc_rp_last", s.cookies()["__Host-oidc_rp"], 0) }},
		"a failed sign-in since": {after: 13 * time.Hour, did: func(s *endedScene) {
			s.r.ahead(13 * time.Hour)
			s.get("/@app/auth/partners/code?error=access_denied&state=x")
		}},
		"the provider is down": {after: 80 * time.Hour, did: func(s *endedScene) {
			s.ops["partners"].Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = 503 })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, ops := newChooser(t, map[string]string{"site": row.site})
			s := &endedScene{r.signedInAt("partners"), r, ops}
			if row.did != nil {
				row.did(s)
			}
			r.ahead(row.after)
			p := s.get("/page?x=y")
			if !row.leads {
				check(t, p).leadsTo("/@app/auth/?returnto=%2Fpage%3Fx%3Dy")
				return
			}
			check(t, p).status(http.StatusFound).leadsInto(ops["partners"].Issuer()).leadsWith("login_hint=alice")
		})
	}
}

// With one provider, there is no choice to remember.
func TestOneProviderIsNotRemembered(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	b := r.browser()
	check(t, b.get("/@app/auth/")).status(http.StatusOK).shows(`href="/@app/auth/default/login"`).hides("<form")
	check(t, b.open("/page")).status(http.StatusOK)
	for name := range b.cookies() {
		lacks(t, "cookies", name, "choice")
		lacks(t, "cookies", name, "last")
	}
}

func TestWithAllProvidersDisabledSignInIsSwitchedOff(t *testing.T) {
	t.Parallel()
	r, _ := newChooser(t, map[string]string{"corp": "disabled", "partners": "disabled", "guests": "disabled", "site": "public /login_url"})
	for _, address := range []string{"/@app/auth/", "/page"} {
		check(t, r.browser().get(address)).status(http.StatusForbidden).shows("Sign-in is turned off", "All identity providers of this site are turned off.").hides("/login", `href="/@app/auth/"`).setsCookies(0)
	}
	check(t, r.browser().get("/Special:UserLogout")).status(http.StatusOK).hides("/@app/auth/")
}

// What a rule requires or a link requests still applies after the choice.
func TestTheChooserKeepsWhatALoginAsksFor(t *testing.T) {
	t.Parallel()
	r, ops := newChooser(t, map[string]string{
		"partners": "forward_params ui_locales login_hint",
		"site": `private /admin {
			require acr mfa
			require max_age 5m
		}`,
	})
	b := r.browser()
	p := b.open("/admin")
	check(t, p).at(rpURL + "/@app/auth/?returnto=%2Fadmin&acr_values=mfa&max_age=300").shows(`/@app/auth/partners/login?returnto=%2Fadmin&amp;acr_values=mfa&amp;max_age=300"`)
	check(t, b.get("/@app/auth/partners/login?returnto=%2Fadmin&acr_values=mfa&max_age=300")).leadsInto(ops["partners"].Issuer()).leadsWith("acr_values=mfa", "max_age=300")
	p = b.get("/@app/auth/?prompt=select_account&display=popup&ui_locales=de&login_hint=x&other=y&returnto=https://evil.test/")
	check(t, p).shows(`/@app/auth/corp/login?display=popup&amp;prompt=select_account&amp;ui_locales=de"`,
		`/@app/auth/partners/login?display=popup&amp;login_hint=x&amp;prompt=select_account&amp;ui_locales=de"`).hides("other", "evil")
	check(t, b.get("/@app/auth/?prompt=none&display=page")).hides("none&", "prompt=", "display=")
	check(t, b.get("/@app/auth/?max_age=x")).status(http.StatusForbidden).shows("bad_request")
}
