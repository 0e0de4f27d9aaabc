package oidcrp_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"

	"github.com/caddyserver/caddy/v2"
)

func TestModulesAreRegisteredUnderTheirNames(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"oidc_rp", "http.handlers.oidc_rp", "admin.api.oidc_rp"} {
		if _, err := caddy.GetModule(id); err != nil {
			t.Error(err)
		}
	}
}

// TestImports checks the direction of imports: no package under internal imports Caddy,
// except those that imports_test.go allows, and only tests import the provider that
// lies.
func TestImports(t *testing.T) {
	t.Parallel()
	list := func(args ...string) []string {
		out, err := exec.Command("go", append([]string{"list", "-deps"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	packages, err := exec.Command("go", "list", "./internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	without := slices.DeleteFunc(strings.Fields(string(packages)), func(p string) bool {
		return slices.ContainsFunc(mayImportCaddy, func(folder string) bool { return strings.HasSuffix(p, folder) })
	})
	for _, p := range list(without...) {
		for _, never := range []string{"caddyserver", "go.uber.org/zap", "prometheus"} {
			if strings.Contains(p, never) {
				t.Errorf("a package under internal reaches %s", p)
			}
		}
	}
	for _, p := range list("./cmd/caddy") {
		if strings.HasSuffix(p, "internal/oidctest") {
			t.Errorf("what is not a test reaches %s", p)
		}
	}
	for _, rule := range []struct{ who, never string }{
		{"./internal/seal", "caddy-oidc-rp/internal/session"},
		{"./internal/sessionstore", "caddy-oidc-rp/store"},
		{"./internal/sessionstore", "caddy-oidc-rp/internal/op"},
		{"./internal/session", "net/http"},
		{"./internal/session", "caddy-oidc-rp/internal/op"},
		{"./internal/op", "caddy-oidc-rp/internal/session"},
		{"./internal/oidctest", "caddy-oidc-rp/internal/op"},
	} {
		for _, p := range list(rule.who) {
			if p == rule.never || strings.HasSuffix(p, "/"+rule.never) {
				t.Errorf("%s reaches %s", rule.who, p)
			}
		}
	}
}

// The number of reloads, and their limits.
const (
	reloadCount     = 200
	reloadEnv       = "OIDC_RP_RELOADS"
	goroutineSettle = time.Minute
	heapRoom        = 512 << 10 // one configuration takes about 350 KiB
)

type reloadCounts struct {
	Before, After int // goroutines
	Heap          uint64
	Remotes       int
}

// TestReloadsLeaveNothingBehind reloads a Caddy 200 times. After at most a minute
// there are no more goroutines than at the start, and no more heap than a Caddy without
// the plugin and one configuration of it need. Each Caddy runs in its own process, so
// that other tests do not count.
func TestReloadsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	with, without := countReloads(t, "with"), countReloads(t, "without")
	t.Logf("with the plugin %+v, without %+v", with, without)
	if with.After > with.Before {
		t.Errorf("%d goroutines after %d reloads, %d before", with.After, reloadCount, with.Before)
	}
	if with.Heap > without.Heap+heapRoom {
		t.Errorf("heap %d bytes, that of Caddy without the plugin %d", with.Heap, without.Heap)
	}
	if with.Remotes != 1 {
		t.Errorf("%d providers are remembered, the configuration has one", with.Remotes)
	}
}

func countReloads(t *testing.T, which string) (counts reloadCounts) {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestReloadHelper$", "-test.v=false")
	command.Env = append(os.Environ(), reloadEnv+"="+which, "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{\"Before\"") {
			if err := json.Unmarshal([]byte(line), &counts); err != nil {
				t.Fatal(err)
			}
			return counts
		}
	}
	t.Fatalf("no counts in %q", out)
	return counts
}

// TestReloadHelper runs in the process that TestReloadsLeaveNothingBehind measures.
func TestReloadHelper(t *testing.T) {
	which := os.Getenv(reloadEnv)
	if which == "" {
		return
	}
	guard := ""
	if which == "with" {
		guard = `
oidc_rp {
	issuer http://127.0.0.1:1
	client_id rp
	private /x/*
	public /y/*
	upstream {
		header X-User {http.auth.user.id}
	}
}
`
	}
	load := func(i int) {
		config, err := adapt(fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	log {
		output discard
	}
}
http://127.0.0.1:0 {
	%s
	respond "load %d"
}`, guard, i))
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Load(config, true); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 { // create what is created only once
		load(i)
	}
	settled := func() int {
		time.Sleep(200 * time.Millisecond)
		return runtime.NumGoroutine()
	}
	counts := reloadCounts{Before: settled()}
	for i := range reloadCount {
		load(i)
	}
	counts.After = runtime.NumGoroutine()
	for end := time.Now().Add(goroutineSettle); counts.After > counts.Before && time.Now().Before(end); {
		counts.After = settled()
	}
	for range 3 { // finalizers may need another round
		runtime.GC()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	counts.Heap = memory.HeapAlloc
	oidcrp.Discoveries.Range(func(any, any) bool { counts.Remotes++; return true })
	text, err := json.Marshal(counts)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(text))
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}
