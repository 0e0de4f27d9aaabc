package oidcrp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/storagekey"
)

// A storage in which nothing of ours is kept is not asked for anything: each
// question costs money at some.
func TestAStorageIsRequiredForWhatIsKeptThere(t *testing.T) {
	t.Parallel()
	secret := "secret " + strings.Repeat("s", 32) + "\n"
	for _, tc := range []struct {
		session           string
		keys, revocations bool
	}{
		{"", true, true},
		{secret, false, true},
		{"store memory\n", true, false},
		{"store memory\n" + secret, false, false},
		{"store storage\n" + secret, false, true},
	} {
		lines := ""
		if tc.session != "" {
			lines = "session {\n" + tc.session + "}\n"
		}
		keys, revocations := started(t, fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
		%s
	}
}
`, lines)).RequiredOfStorage()
		if keys != tc.keys || revocations != tc.revocations {
			t.Errorf("%q: expected keys %v and revocations %v, seen %v and %v", tc.session, tc.keys, tc.revocations, keys, revocations)
		}
	}
}

// TestARejectedConfigurationLeavesTheStorageToTheOther: what a configuration
// takes before it fails is given back, and nothing else is.
func TestARejectedConfigurationLeavesTheStorageToTheOther(t *testing.T) {
	t.Parallel()
	const site = `
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
		%s
	}
}
`
	app := started(t, fmt.Sprintf(site, ""))
	storage := app.Storage()
	key := storagekey.Key(storage)
	folder := storage.(*certmagic.FileStorage).Path
	config, err := adapt(fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tstorage file_system %s\n}\n", folder) + fmt.Sprintf(site, "pages not/there"))
	if err != nil {
		t.Fatal(err)
	}
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	provisioning.Lock()
	err = caddy.Validate(&c)
	provisioning.Unlock()
	if err == nil || !strings.Contains(err.Error(), "pages") {
		t.Fatalf("a folder that does not exist: expected an error about pages, seen %v", err)
	}
	if references, ok := oidcrp.StorageStates.References(key); !ok || references != 1 {
		t.Errorf("expected one reference to the storage, seen %d", references)
	}
}
