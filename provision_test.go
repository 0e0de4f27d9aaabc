package oidcrp_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
)

// The tests of this package need the code behind the modules. Tests that need only a
// running Caddy are in the folder integration.

const rpURL = "https://rp.test"

func adapt(text string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// provisioning serializes provisioning, as Caddy does: its modules register metrics in
// globals.
var provisioning sync.Mutex

func provision(config []byte) (caddy.Context, error) {
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return caddy.Context{}, err
	}
	provisioning.Lock()
	defer provisioning.Unlock()
	return caddy.ProvisionContext(&c)
}

// storageDir returns a folder that is removed after the last write to it: background
// work ends a little later than a test.
func storageDir(t testing.TB) string {
	folder, err := os.MkdirTemp("", "oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(time.Minute); os.RemoveAll(folder) != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s is still written to", folder)
				return
			}
		}
	})
	return folder
}

// started returns the app of a Caddyfile with these sites, started as Caddy does it,
// but without listeners.
func started(t *testing.T, sites string, globals ...string) *oidcrp.App {
	t.Helper()
	config, err := adapt(fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	storage file_system %s
	log {
		output discard
	}
	%s
}
%s
`, storageDir(t), strings.Join(globals, "\n"), sites))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := provision(config)
	if err != nil {
		t.Fatal(err)
	}
	module, err := ctx.App("oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	app := module.(*oidcrp.App)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Error(err)
		}
		unload.Config(ctx)
		app, ctx = nil, caddy.Context{} // cleanups of parallel tests keep what they refer to in memory until all have ended
	})
	return app
}

// warningsIn returns this plugin's warnings in a log.
func warningsIn(t *testing.T, log string) (warnings []string) {
	t.Helper()
	for text := range strings.Lines(log) {
		var line struct{ Level, Logger string }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if line.Level == "warn" && strings.Contains(line.Logger, "oidc_rp") {
			warnings = append(warnings, text)
		}
	}
	return warnings
}

// The tests mostly wait for servers and clocks, so more of them than there are
// processors may run at once.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// All handlers share one pass over the sites: in further passes, sites that are not yet
// loaded would be warned about again.
func TestSitesAreCheckedInOnePass(t *testing.T) {
	t.Parallel()
	const count = 20
	var sites strings.Builder
	for i := range count {
		fmt.Fprintf(&sites, `
http://s%d.example.com {
	oidc_rp {
		provider corp
		base_url https://other.example.com
	}
}
`, i)
	}
	log, err := loaded(t, sites.String(), corpShared)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := warningsIn(t, log); len(warnings) != count {
		t.Errorf("expected a warning about each of %d sites, seen %d", count, len(warnings))
	}
}

// Parsing the templates takes milliseconds, which adds up with many sites.
func TestSitesShareTheBuiltInPages(t *testing.T) {
	t.Parallel()
	h := started(t, `
http://a.example.com {
	oidc_rp {
		provider corp
	}
}
http://b.example.com {
	oidc_rp {
		provider corp
	}
}
`, corpShared).Handlers()
	if one, other := h[0].Instance().Templates(), h[1].Instance().Templates(); one != other {
		t.Errorf("expected the same templates at both sites, seen %p and %p", one, other)
	}
}
