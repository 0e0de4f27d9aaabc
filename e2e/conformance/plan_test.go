package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func allPlans() (all []plan) {
	for _, g := range groups {
		all = append(all, g.plans...)
	}
	return all
}

// TestThePageIsWhatTheResultsSay fails if results, tables, or text have changed but the
// page has not. "go run ./e2e/conformance" writes the page.
func TestThePageIsWhatTheResultsSay(t *testing.T) {
	rs, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := rs.page()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/conformance.md is not what e2e/conformance writes: run go run ./e2e/conformance")
	}
}

func TestTheResultsAreAsTheDriverWritesThem(t *testing.T) {
	rs, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "results.json")
	if err := rs.write(file); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("results.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("results.json has another form than the driver writes")
	}
}

// TestEveryResultHasARow fails if the results have a module that the page does not show.
func TestEveryResultHasARow(t *testing.T) {
	rs, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range allPlans() {
		r := rs[p.name]
		if r == nil {
			continue // a new plan: the page shows it as not run
		}
		for name := range r.Results {
			if _, known := p.module(name); !known {
				t.Errorf("%s: no row for %s", p.name, name)
			}
			if !p.runs(name) {
				t.Errorf("%s: has a result of %s, which it does not run", p.name, name)
			}
		}
	}
}

func TestThePlansAreConsistent(t *testing.T) {
	names := map[string]bool{}
	for _, p := range allPlans() {
		if names[p.name] {
			t.Errorf("two plans are named %s", p.name)
		}
		names[p.name] = true
		for name := range p.except {
			if _, known := p.module(name); !known {
				t.Errorf("%s: an exception for %s, which no table has", p.name, name)
			}
		}
		for _, name := range p.only {
			if _, known := p.module(name); !known {
				t.Errorf("%s: runs %s, which no table has", p.name, name)
			}
		}
		for name, value := range p.variant {
			if value == "" {
				t.Errorf("%s: the variant %s is empty", p.name, name)
			}
		}
	}
}

// TestCaddyTakesTheOptionsOfEveryPlan validates each Caddyfile that the driver could
// write.
func TestCaddyTakesTheOptionsOfEveryPlan(t *testing.T) {
	t.Parallel()
	c, err := newCredentials("rp.localhost")
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]bool{}
	for _, p := range allPlans() {
		for _, m := range p.modules {
			options := p.optionsFor(m)
			if done[options] || !p.runs(m.name) {
				continue
			}
			done[options] = true
		}
	}
	var sites strings.Builder
	dir := t.TempDir()
	for i, options := range slices.Sorted(maps.Keys(done)) {
		site := strings.NewReplacer("{$SITE}", "https://rp"+string(rune('a'+i/26))+string(rune('a'+i%26))+".localhost:9443", "import options", options).Replace(siteOf(t))
		sites.WriteString(site)
	}
	if err := c.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(globalOf(t)+sites.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), caddyOfTree(t), "validate", "--config", "Caddyfile", "--adapter", "caddyfile")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "BIND=127.0.0.1", "STORAGE="+dir,
		"APPLICATION=127.0.0.1:1", "ISSUER=https://127.0.0.1:1/test/a/caddy-oidc-rp/", "CLIENT_ID="+clientID, "CLIENT_SECRET="+c.secret)
	if text, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		t.Errorf("expected %d sites to be valid, seen %v\n%s", len(done), err, lines[len(lines)-1])
	}
}

func globalOf(t *testing.T) string {
	t.Helper()
	global, _, found := strings.Cut(string(caddyfile), "{$SITE}")
	if !found {
		t.Fatal("the Caddyfile has no {$SITE}")
	}
	return global
}

func siteOf(t *testing.T) string { return strings.TrimPrefix(string(caddyfile), globalOf(t)) }

func TestOptionsOfAModuleTakeThePlaceOfThePlans(t *testing.T) {
	p := plan{options: `client_secret {env.CLIENT_SECRET}
userinfo always
session {
	userinfo always
	refresh on
}`}
	for _, tc := range []struct{ name, own, expected string }{
		{"none", "", p.options},
		{"one more", "forward_params prompt", p.options + "\nforward_params prompt"},
		{"one that the plan has", "userinfo never", `client_secret {env.CLIENT_SECRET}
session {
	userinfo always
	refresh on
}
userinfo never`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if seen := p.optionsFor(module{options: tc.own}); seen != tc.expected {
				t.Errorf("expected\n%s\nseen\n%s", tc.expected, seen)
			}
		})
	}
}

func TestOptionsAreShownOnOneLine(t *testing.T) {
	seen := oneLine(`client_secret {env.CLIENT_SECRET}
session {
	cookie {
		same_site none
	}
}`)
	if expected := "`client_secret {env.CLIENT_SECRET}` `session { cookie { same_site none } }`"; seen != expected {
		t.Errorf("expected %s, seen %s", expected, seen)
	}
}

func TestMarks(t *testing.T) {
	p := plan{name: "p", modules: []module{{name: "a"}, {name: "b", accept: skipped}, {name: "c", absent: "no"}}}
	for _, tc := range []struct {
		name, module, result, broken, mark string
		as                                 bool
	}{
		{"passed", "a", passed, "", "✓", true},
		{"failed", "a", failed, "", "**failed**", false},
		{"skipped where that is not meant", "a", skipped, "", "**skipped**", false},
		{"skipped where that is meant", "b", skipped, "", "✓ S", true},
		{"waits", "a", waits, "", "**waiting**", false},
		{"passed, but a user got in", "a", passed, "a session", "**our side**", false},
		{"not offered and failed", "c", failed, "", "–", true},
		{"not offered and passed all the same", "c", passed, "", "✓", true},
		{"not run", "a", "", "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &run{Plan: "p", Results: map[string]string{}}
			if tc.result != "" {
				r.Results[tc.module] = tc.result
			}
			if tc.broken != "" {
				r.broken(tc.module, tc.broken)
			}
			if seen := (results{"p": r}).mark(p, tc.module); seen != tc.mark {
				t.Errorf("mark: expected %q, seen %q", tc.mark, seen)
			}
			m, _ := p.module(tc.module)
			if seen := m.as(tc.result, tc.broken); seen != tc.as {
				t.Errorf("as expected: expected %t, seen %t", tc.as, seen)
			}
		})
	}
}

func TestTheJarKeepsToSameSite(t *testing.T) {
	site, _ := url.Parse("https://rp.localhost:9443/")
	j := newJar()
	j.set(site, []*http.Cookie{
		{Name: "lax", Value: "1", Path: "/", Secure: true, SameSite: http.SameSiteLaxMode},
		{Name: "none", Value: "1", Path: "/", Secure: true, SameSite: http.SameSiteNoneMode},
		{Name: "deep", Value: "1", Path: "/logout", Secure: true, SameSite: http.SameSiteLaxMode},
		{Name: "gone", Value: "1", Path: "/", MaxAge: -1},
	})
	for _, tc := range []struct {
		name, method, address string
		crossSite, topLevel   bool
		expected              string
	}{
		{"a click", "GET", "https://rp.localhost:9443/private", false, true, "lax none"},
		{"a link of another site", "GET", "https://rp.localhost:9443/private", true, true, "lax none"},
		{"a form of another site", "POST", "https://rp.localhost:9443/code", true, true, "none"},
		{"a frame of another site", "GET", "https://rp.localhost:9443/frame", true, false, "none"},
		{"another port", "GET", "https://rp.localhost:1/", false, true, "lax none"},
		{"without TLS", "GET", "http://rp.localhost:9443/", false, true, ""},
		{"another host", "GET", "https://localhost:9443/", false, true, ""},
		{"a path below", "GET", "https://rp.localhost:9443/logout/x", false, true, "deep lax none"},
		{"a path that begins alike", "GET", "https://rp.localhost:9443/logouts", false, true, "lax none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.NewRequest(tc.method, tc.address, nil)
			if err != nil {
				t.Fatal(err)
			}
			j.add(r, tc.crossSite, tc.topLevel)
			var names []string
			for _, c := range r.Cookies() {
				names = append(names, c.Name)
			}
			slices.Sort(names)
			if seen := strings.Join(names, " "); seen != tc.expected {
				t.Errorf("cookies: expected %q, seen %q", tc.expected, seen)
			}
		})
	}
}

func TestResponsesAreChecked(t *testing.T) {
	own := http.Header{"Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"}, "X-Content-Type-Options": {"nosniff"}}
	for _, tc := range []struct {
		name    string
		cookies []string
		body    string
		without string
		says    string
	}{
		{"a page of ours", []string{"__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"}, "", "", ""},
		{"the application's response", nil, greeting + "d.tu", "Cache-Control", ""},
		{"a page that may be kept", nil, "", "Cache-Control", "Cache-Control of /x: expected no-store"},
		{"a cookie without a prefix", []string{"a=1; Path=/; Secure; HttpOnly; SameSite=Lax"}, "", "", "expected the prefix __Host-"},
		{"a cookie that scripts read", []string{"__Host-a=1; Path=/; Secure; SameSite=Lax"}, "", "", "expected Secure and HttpOnly"},
		{"a cookie without SameSite", []string{"__Host-a=1; Path=/; Secure; HttpOnly"}, "", "", "expected SameSite"},
		{"one name twice", []string{"__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax", "__Host-a=2; Path=/; Secure; HttpOnly; SameSite=Lax"}, "", "", "two cookies named __Host-a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := own.Clone()
			h["Set-Cookie"] = tc.cookies
			h.Del(tc.without)
			err := checkResponse(&page{url: &url.URL{Path: "/x"}, status: 200, header: h, body: tc.body})
			switch {
			case tc.says == "" && err != nil:
				t.Errorf("expected no fault, seen %v", err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("expected %q, seen %v", tc.says, err)
			}
		})
	}
}

func TestTheFrameOfALogoutIsReadAsABrowserReadsIt(t *testing.T) {
	for _, tc := range []struct{ name, script, address string }{
		{"slashes", `https:\/\/rp.localhost\/x?a=b`, "https://rp.localhost/x?a=b"},
		{"a backslash", `https:\/\/rp.localhost\/x?sid=a\\b`, `https://rp.localhost/x?sid=a\b`},
		{"a quote", `\'`, `'`},
		{"what is no escape", `a&amp;b`, `a&amp;b`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if seen := unquote(tc.script); seen != tc.address {
				t.Errorf("expected %s, seen %s", tc.address, seen)
			}
		})
	}
	if seen, expected := asQuery(`sid=a;%[1]\ "<é`), `sid=a;%[1]\%20%22%3C%C3%A9`; seen != expected {
		t.Errorf("query: expected %s, seen %s", expected, seen)
	}
}

// TestTheRegisteredKeysAreTheClients compares the keys registered at the suite with the
// files that Caddy gets.
func TestTheRegisteredKeysAreTheClients(t *testing.T) {
	c, err := newCredentials("rp.localhost")
	if err != nil {
		t.Fatal(err)
	}
	registered := map[string]jwk{}
	for _, k := range c.jwks.Keys {
		registered[k["kid"].(string)] = k
		if _, private := k["d"]; private {
			t.Errorf("%s: the private key is registered", k["kid"])
		}
	}
	for _, name := range []string{"client", "decryption", "agreement"} {
		var private jwk
		if err := json.Unmarshal(c.files[name+".jwk"], &private); err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{"kid", "use", "kty", "n", "e", "crv", "x", "y"} {
			if private[member] != registered[name][member] {
				t.Errorf("%s of %s: expected %v, seen %v", member, name, private[member], registered[name][member])
			}
		}
	}
}
