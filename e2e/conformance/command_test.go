package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// caddyOfTree returns the path of a Caddy with the plugin: the one that E2E_CADDY names,
// or one that is built once.
func caddyOfTree(t *testing.T) string {
	t.Helper()
	if given := os.Getenv("E2E_CADDY"); given != "" {
		return given
	}
	built.once.Do(func() {
		var root string
		if root, built.err = tree(); built.err != nil {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "conformance-test-"); built.err == nil {
			built.err = build(t.Context(), root, filepath.Join(built.dir, "caddy"))
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "caddy")
}

var ports struct {
	sync.Mutex
	given map[int]bool
}

// freePort returns a port that no other test of this package uses, below the ranges that
// the system and the other tests use.
func freePort(t *testing.T) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = map[int]bool{}
	}
	for range 1000 {
		port := 10000 + rand.IntN(5000)
		if ports.given[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports.given[port] = true
		return port
	}
	t.Fatal("no free port on loopback")
	return 0
}

// An output is what a run of the command has printed and written.
type output struct {
	code    int
	err     error
	out     string
	page    string
	results results
}

// drive runs the whole command against a fake suite.
func drive(t *testing.T, f *fakeSuite, args ...string) output {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{
		"-suite", f.server.URL, "-ca", f.certificate(), "-caddy", caddyOfTree(t), "-poll", "20ms",
		"-site", fmt.Sprintf("https://rp.localhost:%d", freePort(t)),
		"-results", filepath.Join(dir, "results.json"), "-out", filepath.Join(dir, "page.md"),
	}, args...)
	var out bytes.Buffer
	var to output
	to.code, to.err = command(context.WithoutCancel(t.Context()), args, &out)
	to.out = out.String()
	page, _ := os.ReadFile(filepath.Join(dir, "page.md"))
	to.page = string(page)
	var err error
	if to.results, err = readResults(filepath.Join(dir, "results.json")); err != nil {
		t.Error(err)
	}
	return to
}

// rowOf returns the row of a plan on the page.
func rowOf(page, plan string) string {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| "+plan+" |") {
			return line
		}
	}
	return "no row"
}

// drivePassing runs the command against a fake suite, and fails unless all modules pass.
func drivePassing(t *testing.T, args ...string) output {
	t.Helper()
	to := drive(t, newFakeSuite(t), args...)
	if to.err != nil {
		t.Fatalf("%v\n%s", to.err, to.out)
	}
	if to.code != 0 {
		t.Errorf("exit code: expected 0, seen %d\n%s", to.code, to.out)
	}
	return to
}

// TestThePlansPass runs plans as an operator would: each module with a Caddy, a browser,
// and a provider with a flaw.
func TestThePlansPass(t *testing.T) {
	for _, plans := range []string{
		"basic", "form-post", "config", "rp-logout,frontchannel,third-party-login", "backchannel", "backchannel-from-provider", "refresh",
	} {
		t.Run(plans, func(t *testing.T) {
			t.Parallel()
			to := drivePassing(t, "-plan", plans)
			for _, name := range strings.Split(plans, ",") {
				p, _ := planNamed(name)
				r := to.results[name]
				if r == nil {
					t.Errorf("%s: expected results, seen none", name)
					continue
				}
				if len(r.Results) != p.least {
					t.Errorf("%s: expected the results of %d modules, seen %d", name, p.least, len(r.Results))
				}
				if r.Suite != "0.0.1-fake" {
					t.Errorf("%s: version of the suite: expected that of the fake, seen %q", name, r.Suite)
				}
				if row := fmt.Sprintf("| %d of %d |", p.least, p.least); !strings.Contains(to.page, row) {
					t.Errorf("%s: expected %q on the page, seen %s", name, row, rowOf(to.page, name))
				}
			}
		})
	}
}

// TestAModuleOfThePlanIsRunAlone also runs modules whose options differ from those of
// their plan, and each client authentication method.
func TestAModuleOfThePlanIsRunAlone(t *testing.T) {
	for plan, module := range map[string]string{
		"all-form-post": "form-post-error", "all-secret-basic": "userinfo-bearer-body", "all-logout-by-cookie": "rp-frontchannel-opinitlogout",
		"all-logout": "rp-frontchannel-opinitlogout",
		// client authentication methods
		"all-secret-post": happy, "all-private-key-jwt": happy, "all-public-client": happy, "all-tls": happy, "all-self-signed-tls": happy,
	} {
		t.Run(plan+" "+module, func(t *testing.T) {
			t.Parallel()
			to := drive(t, newFakeSuite(t), "-plan", plan, "-module", module)
			if to.err != nil {
				t.Fatalf("%v\n%s", to.err, to.out)
			}
			if !strings.Contains(to.out, "  "+module) || strings.Contains(to.out, "! "+module) {
				t.Errorf("expected the module to come out as expected, seen\n%s", to.out)
			}
			if len(to.results) != 0 {
				t.Errorf("expected no results to be written, seen %v", to.results)
			}
		})
	}
}

// TestWhatIsWrongIsSeen runs modules that behave differently from what their names say.
func TestWhatIsWrongIsSeen(t *testing.T) {
	for _, tc := range []struct {
		name, plan, module, behaves string
		says                        []string
		result                      string
	}{
		{"a bad login that the suite takes for a good one", "basic", "invalid-iss", happy,
			[]string{"! invalid-iss", "PASSED", "our side: expected an error page with 403, seen 200 at"}, passed},
		{"a good login that is refused", "basic", "idtoken-sig-rs256", "invalid-aud",
			[]string{"! idtoken-sig-rs256", "our side: expected the private page, seen 403 at", "(token_invalid)"}, passed},
		{"a logout that must not count, and does", "backchannel-from-provider", "rp-backchannel-rpinitlogout-wrong-aud", "rp-backchannel-rpinitlogout",
			[]string{"! rp-backchannel-rpinitlogout-wrong-aud", "our side: expected the session to go on, seen 401"}, passed},
		{"a request that the suite refuses", "basic", "scope-userinfo-claims", "userinfo-bearer-body",
			[]string{"! scope-userinfo-claims", "FAILED", "the suite: ExtractBearerAccessToken: the access token is not where it should be"}, failed},
		{"a module that never ends", "basic", happy, "silent",
			[]string{"! " + happy, "WAITING"}, waits},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeSuite(t)
			f.odd[tc.module] = tc.behaves
			args := []string{"-plan", tc.plan, "-module", tc.module}
			if tc.result == waits {
				args = append(args, "-patience", "5s")
			}
			to := drive(t, f, args...)
			if to.err != nil {
				t.Fatalf("%v\n%s", to.err, to.out)
			}
			if to.code != 1 {
				t.Errorf("exit code: expected 1, seen %d", to.code)
			}
			for _, words := range tc.says {
				if !strings.Contains(to.out, words) {
					t.Errorf("expected %q, seen\n%s", words, to.out)
				}
			}
			if canceled := slices.ContainsFunc(f.canceled, func(m string) bool { return nameOf(m) == tc.module }); canceled != (tc.result == waits) {
				t.Errorf("canceled: expected %t, seen %v", tc.result == waits, f.canceled)
			}
		})
	}
}

// TestAPlanThatHasChangedIsSeen uses a suite with fewer modules than the plan has here,
// and with one that is unknown here.
func TestAPlanThatHasChangedIsSeen(t *testing.T) {
	t.Parallel()
	f := newFakeSuite(t)
	f.plans = map[string][]string{"oidcc-client-front-channel-logout-rp-basic": {"oidcc-client-test-of-tomorrow"}, "oidcc-client-rp-initiated-logout-rp-basic": {"oidcc-client-test-rp-init-logout"}}
	to := drive(t, f, "-plan", "frontchannel,rp-logout")
	if to.err != nil {
		t.Fatalf("%v\n%s", to.err, to.out)
	}
	if to.code != 1 {
		t.Errorf("exit code: expected 1, seen %d", to.code)
	}
	for _, words := range []string{
		"of-tomorrow the suite has a module that the table of modules does not know", "modules of the plan: expected at least 3, seen 1",
	} {
		if !strings.Contains(to.out, words) {
			t.Errorf("expected %q, seen\n%s", words, to.out)
		}
	}
}

func TestACommandThatCannotRunSaysWhy(t *testing.T) {
	f := newFakeSuite(t)
	f.plans = map[string][]string{}
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"an unknown plan", []string{"-plan", "basics"}, `no plan is named "basics"; there are basic, `},
		{"a plan that the suite does not have", []string{"-plan", "fapi-tls"}, "the suite answered 404 to POST api/plan"},
		{"a site without TLS", []string{"-site", "http://rp.localhost:9443"}, "-site must be an https origin"},
		{"two ways to trust", []string{"-insecure"}, "-ca and -insecure exclude each other"},
		{"another argument", []string{"basic"}, `unexpected argument "basic"`},
		{"a suite that is not there", []string{"-suite", "https://127.0.0.1:1", "-plan", "basic"}, "connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := drive(t, f, tc.args...)
			if to.code != 2 {
				t.Errorf("exit code: expected 2, seen %d", to.code)
			}
			if to.err == nil || !strings.Contains(to.err.Error(), tc.says) {
				t.Errorf("expected %q, seen %v", tc.says, to.err)
			}
		})
	}
}

// TestInsecureTrustsTheCertificateThatIsThere also checks that -insecure trusts no other
// certificate.
func TestInsecureTrustsTheCertificateThatIsThere(t *testing.T) {
	f := newFakeSuite(t)
	s := flags{suite: f.server.URL, insecure: true, site: "https://rp.localhost:1", caddy: caddyOfTree(t), patience: 5e9}
	d, err := s.driver(t.Context(), t.TempDir(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := d.suite.createPlan(t.Context(), "oidcc-client-front-channel-logout-rp-basic", map[string]string{"a": "b"}, map[string]any{"alias": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if seen := plan.Modules[0].Name; seen != "oidcc-client-test-rp-frontchannel-rpinitlogout" {
		t.Errorf("module: expected the one of the plan, seen %q", seen)
	}
	s.insecure = false
	if d, err = s.driver(t.Context(), t.TempDir(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.suite.createPlan(t.Context(), "x", nil, json.RawMessage("{}")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("expected an unknown certificate to be refused, seen %v", err)
	}
}
