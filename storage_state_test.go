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

// A configuration that keeps nothing in the storage does not use it: some storages
// charge for each request.
func TestAStorageIsRequiredForWhatIsKeptThere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		session           string
		keys, revocations bool
	}{
		{"", true, true},
		{`session {
			secret 0123456789abcdef0123456789abcdef
		}`, false, true},
		{`session {
			store memory
		}`, true, false},
		{`session {
			store memory
			secret 0123456789abcdef0123456789abcdef
		}`, false, false},
		{`session {
			store storage
			secret 0123456789abcdef0123456789abcdef
		}`, false, true},
	} {
		keys, revocations := started(t, fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
		%s
	}
}
`, tc.session)).RequiredOfStorage()
		if keys != tc.keys {
			t.Errorf("%q: expected keys %t, seen %t", tc.session, tc.keys, keys)
		}
		if revocations != tc.revocations {
			t.Errorf("%q: expected revocations %t, seen %t", tc.session, tc.revocations, revocations)
		}
	}
}

// A rejected configuration releases exactly what it took from the storage before it
// failed.
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
	config, err := adapt(fmt.Sprintf(`{
	admin off
	auto_https off
	storage file_system %s
}
%s`, folder, fmt.Sprintf(site, "pages not/there")))
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
	references, ok := oidcrp.StorageStates.References(key)
	if !ok {
		t.Fatal("expected the storage to be known, seen that it is not")
	}
	if references != 1 {
		t.Errorf("expected one reference to the storage, seen %d", references)
	}
}
