package storage

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/storagekey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, input, want string }{
		{"alone", "storage", `{}`},
		{"an empty block", `storage {
		}`, `{}`},
		{"a timeout", `storage {
			timeout 2s
		}`, `{"timeout":2000000000}`},
		{"another storage", `storage {
			file_system /srv/sessions
		}`, `{"storage":{"module":"file_system","root":"/srv/sessions"}}`},
		{
			"another storage with a block", `storage {
				file_system {
					root /srv/sessions
				}
				timeout 1m
			}`,
			`{"storage":{"module":"file_system","root":"/srv/sessions"},"timeout":60000000000}`,
		},
		{"an argument", "storage file_system /srv/sessions", "wrong argument count"},
		{"an unknown word", `storage {
			timeot 2s
		}`, "unrecognized option 'timeot' of storage, and no storage module either"},
		{"two storages", `storage {
			file_system /a
			file_system /b
		}`, "file_system: there is a storage already"},
		{"a storage that refuses", `storage {
			file_system
		}`, "missing root path"},
		{"twice", `storage {
			timeout 2s
			timeout 2s
		}`, "Testfile:3"},
		{"no duration", `storage {
			timeout soon
		}`, "'soon' is not a duration"},
		{"no time", `storage {
			timeout 0s
		}`, "'0s' is not a duration"},
		{"nothing", `storage {
			timeout
		}`, "timeout takes one argument, not 0"},
		{"too much", `storage {
			timeout 2s 3s
		}`, "timeout takes one argument, not 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := new(Storage)
			err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.input))
			got, _ := json.Marshal(s)
			if err == nil && string(got) != test.want {
				t.Errorf("expected %s, seen %s", test.want, got)
			}
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("expected %s, seen the error %v", test.want, err)
			}
		})
	}
}

// TestCaddyfileInSession has the options inside a session block, as in a configuration.
func TestCaddyfileInSession(t *testing.T) {
	t.Parallel()
	d := caddyfile.NewTestDispenser(`session {
		store storage {
			file_system /a
			timeout 2s
		}
		lifetime 1h
	}`)
	for range 4 { // to the name of the store
		d.Next()
	}
	module, err := caddyfile.UnmarshalModule(d, "oidc_rp.session_stores."+d.Val())
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(module)
	if want := `{"storage":{"module":"file_system","root":"/a"},"timeout":2000000000}`; string(got) != want {
		t.Errorf("expected %s, seen %s", want, got)
	}
	if d.Next(); d.Val() != "lifetime" {
		t.Errorf("the next word is %s", d.Val())
	}
}

// provision loads the module into a configuration whose own storage is in folder.
func provision(t *testing.T, folder, config string) (*Storage, error) {
	t.Helper()
	storage, _ := json.Marshal(map[string]string{"module": "file_system", "root": folder})
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, StorageRaw: storage})
	if err != nil {
		t.Fatal(err)
	}
	module, err := ctx.LoadModuleByID("oidc_rp.session_stores.storage", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*Storage), nil
}

func mustProvision(t *testing.T, folder, config string) *Storage {
	t.Helper()
	s, err := provision(t, folder, config)
	if err != nil {
		t.Fatalf("provision: %v", err)
	}
	return s
}

func cleanup(t *testing.T, s *Storage) {
	t.Helper()
	if err := s.Cleanup(); err != nil {
		t.Errorf("Cleanup: %v", err)
	}
}

func references(s *Storage) int {
	n, _ := nodes.References(storagekey.Key(s.storage))
	return n
}

// TestReloads must not run in parallel with tests that change Caddy's default storage.
func TestReloads(t *testing.T) {
	folder, elsewhere := t.TempDir(), t.TempDir()
	another := fmt.Sprintf(`{"storage": {"module": "file_system", "root": %q}, "timeout": "1s"}`, elsewhere)

	first, second := mustProvision(t, folder, `{}`), mustProvision(t, folder, another)
	for _, dir := range []string{folder, elsewhere} {
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("Provision has written to the storage")
		}
	}
	if first.node == second.node {
		t.Error("two storages share what is known of them")
	}
	if got := first.Storage().(*certmagic.FileStorage).Path; got != folder {
		t.Errorf("the storage is at %s, want Caddy's", got)
	}
	if got := second.Storage().(*certmagic.FileStorage).Path; got != elsewhere {
		t.Errorf("the storage is at %s, want its own", got)
	}
	save(t, first, "k", "of the first", time.Hour)
	save(t, second, "k", "of the second", time.Hour)
	if entries, _ := os.ReadDir(elsewhere + "/oidc_rp/sessions"); len(entries) != 1 {
		t.Errorf("%d folders for one record", len(entries))
	}

	next := mustProvision(t, folder, `{"timeout": "2s"}`)
	if next.node != first.node {
		t.Error("a reload has forgotten what is known of the storage")
	}
	for _, config := range []string{`{"timeout": "-1s"}`, `{"storage": {"module": "nowhere"}}`, `{"storage": {}}`} {
		if _, err := provision(t, folder, config); err == nil {
			t.Errorf("%s was accepted", config)
		}
	}
	cleanup(t, first)
	cleanup(t, new(Storage)) // never provisioned
	cleanup(t, first)        // a second time
	if n := references(next); n != 1 {
		t.Errorf("%d references for one configuration", n)
	}
	if next.node.ended.Err() != nil {
		t.Error("the sweeping has ended with a configuration that is not the last")
	}
	cleanup(t, next)
	cleanup(t, second)
	for _, s := range []*Storage{next, second} {
		if n := references(s); n != 0 {
			t.Errorf("after the last configuration has ended: expected no references, seen %d", n)
		}
		if s.node.ended.Err() == nil {
			t.Error("after the last configuration has ended: expected that sweeping ends, seen that it goes on")
		}
	}
	if got := load(t, first, "k") + ", " + load(t, second, "k"); got != "of the first, of the second" {
		t.Errorf("requests under way find %s", got)
	}
	var _ store.OnStorage = first
}
