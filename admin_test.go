package oidcrp_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/adminapi"
)

// These tests run their own Caddy process with an admin API on a socket.

const adminEnv = "OIDC_RP_ADMIN"

// TestAdminAPIOverReloads checks that the admin API reports on the loaded
// configuration.
func TestAdminAPIOverReloads(t *testing.T) {
	t.Parallel()
	inOwnProcess(t, adminEnv, "TestAdminHelper")
}

// TestAdminHelper is the process of TestAdminAPIOverReloads.
func TestAdminHelper(t *testing.T) {
	if os.Getenv(adminEnv) == "" {
		return
	}
	address := adminSocket(t)
	load := func(sites string) error { return loadWithAdmin(t, address, "", sites) }
	const siteWithoutApp = `
http://127.0.0.1:0 {
	respond x
}
`
	site := func(issuer string) string {
		return `
http://127.0.0.1:0 {
	oidc_rp {
		issuer ` + issuer + `
		client_id rp
	}
}
`
	}
	issuer := func() string {
		out, err := command(t, "providers", "--json", "--address", address)
		// Each load replaces the admin API's server, which may cut a request off.
		for range 100 {
			if err == nil || !strings.Contains(err.Error(), "performing request") {
				break
			}
			time.Sleep(20 * time.Millisecond)
			out, err = command(t, "providers", "--json", "--address", address)
		}
		if err != nil {
			return err.Error()
		}
		var response adminapi.ProvidersResponse
		if err := json.Unmarshal([]byte(out), &response); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(response.Providers) != 1 {
			t.Fatalf("expected one provider, seen %s", out)
		}
		return response.Providers[0].Issuer
	}
	if err := load(siteWithoutApp); err != nil {
		t.Fatal(err)
	}
	if got := issuer(); !strings.Contains(got, "503") {
		t.Errorf("without the app: %s", got)
	}
	for i := range 3 {
		want := fmt.Sprintf("http://127.0.0.1:1/%d", i)
		if err := load(site(want)); err != nil {
			t.Fatal(err)
		}
		if got := issuer(); got != want {
			t.Errorf("load %d: expected %s, seen %s", i, want, got)
		}
		if n := oidcrp.RunningApps(); n != 1 {
			t.Errorf("load %d: expected one app, seen %d", i, n)
		}
	}
	// Apps start in any order: some of these fail before the plugin's app has started,
	// others after.
	taken := takenPort(t)
	for range 10 {
		if err := load(site("http://127.0.0.1:1/failed") + strings.Replace(siteWithoutApp, "127.0.0.1:0", taken, 1)); err == nil {
			t.Fatal("a configuration with a port that is taken was loaded")
		}
		if got := issuer(); got != "http://127.0.0.1:1/2" {
			t.Errorf("after a load that failed: expected http://127.0.0.1:1/2, seen %s", got)
		}
		if n := oidcrp.RunningApps(); n != 1 {
			t.Errorf("after a load that failed: expected one app, seen %d", n)
		}
	}
	if err := load(siteWithoutApp); err != nil {
		t.Fatal(err)
	}
	if got := issuer(); !strings.Contains(got, "503") {
		t.Errorf("without the app again: expected status 503, seen %s", got)
	}
	if n := oidcrp.RunningApps(); n != 0 {
		t.Errorf("without the app again: expected no app, seen %d", n)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}
