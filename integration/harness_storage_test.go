package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// sealedFor has the additional data with which a site seals its cookies.
type sealedFor struct{ sessionAAD, transactionAAD, idTokenHintAAD string }

// atRP is the site of most tests.
var atRP = sealedFor{"__Host-oidc_rp\x00host rp.test", "__Host-oidc_rp_tx_\x00host rp.test", "__Secure-oidc_rp_hint\x00host rp.test"}

// ring returns the keys with which the site seals cookies: its secrets, or else the keys in its
// storage.
func (r *harness) ring() *seal.Ring {
	r.t.Helper()
	for _, h := range r.handlers() {
		if h.Session != nil && len(h.Session.Secret) > 0 {
			ring, err := seal.NewRing([]byte(h.Session.Secret[0]))
			if err != nil {
				r.t.Fatal(err)
			}
			return ring
		}
	}
	storage := &certmagic.FileStorage{Path: r.storage}
	ring, err := seal.NewManaged(func() clusterstore.Storage { return storage }, r.clock.Now).Ring(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return ring
}

// store returns the session store of a harness.
func (r *harness) store() store.Store {
	r.t.Helper()
	handlers := r.handlers()
	if len(handlers) == 0 {
		r.t.Fatal("there is no store")
	}
	config := handlers[0].Session.StoreRaw
	var of struct{ Module string }
	if err := json.Unmarshal(config, &of); err != nil {
		r.t.Fatal(err)
	}
	module, err := r.ctx.LoadModuleByID(store.Namespace+"."+of.Module, withoutModule(r.t, config))
	if err != nil {
		r.t.Fatal(err)
	}
	if c, ok := module.(caddy.CleanerUpper); ok {
		r.t.Cleanup(func() {
			if err := c.Cleanup(); err != nil {
				r.t.Error(err)
			}
		})
	}
	return module.(store.Store)
}

// withoutModule returns the configuration of a module without the module's name.
func withoutModule(t *testing.T, config json.RawMessage) json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(config, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "module")
	rest, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return rest
}

// breakStorage makes the plugin's folder in the storage unreadable by putting a file in its
// place. mendStorage restores it.
func breakStorage(t *testing.T, r *harness) {
	t.Helper()
	folder := filepath.Join(r.storage, "oidc_rp")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mendStorage(t *testing.T, r *harness) {
	t.Helper()
	folder := filepath.Join(r.storage, "oidc_rp")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
}
