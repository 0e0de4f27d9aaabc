package memory

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, input, want string }{
		{"alone", "memory", `{}`},
		{"an empty block", `memory {
		}`, `{}`},
		{"a bound", `memory {
			max_records 500
		}`, `{"max_records":500}`},
		{"an argument", "memory 500", "wrong argument count"},
		{"an unknown word", `memory {
			size 500
		}`, "unrecognized option 'size' of memory"},
		{"twice", `memory {
			max_records 5
			max_records 5
		}`, "Testfile:3"},
		{"no number", `memory {
			max_records many
		}`, "'many' is not a number"},
		{"zero", `memory {
			max_records 0
		}`, "'0' is not a number from 1 on"},
		{"nothing", `memory {
			max_records
		}`, "takes one argument, not 0"},
		{"too much", `memory {
			max_records 1 2
		}`, "takes one argument, not 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := new(Memory)
			err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.input))
			got, _ := json.Marshal(m)
			if err == nil && string(got) != test.want {
				t.Errorf("expected %s, seen %s", test.want, got)
			}
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("expected %s, seen the error %v", test.want, err)
			}
		})
	}
}

// provision is not for parallel tests: they all share one memory.
func provision(t *testing.T, config string) (*Memory, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("oidc_rp.session_stores.memory", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*Memory), nil
}

func mustProvision(t *testing.T, config string) *Memory {
	t.Helper()
	m, err := provision(t, config)
	if err != nil {
		t.Fatalf("provision: %v", err)
	}
	return m
}

func cleanup(t *testing.T, m *Memory) {
	t.Helper()
	if err := m.Cleanup(); err != nil {
		t.Errorf("Cleanup: %v", err)
	}
}

func references() int {
	n, _ := memories.References(theMemory)
	return n
}

func TestReloads(t *testing.T) {
	first := mustProvision(t, `{"max_records": 10}`)
	save(t, first, "a", time.Hour)

	other := mustProvision(t, `{}`) // another site, or the next configuration
	if have := kept(t, other, "a"); have != "a" {
		t.Error("another site does not share the memory")
	}
	if got := first.memory.max.Load(); got != defaultMax {
		t.Errorf("of two bounds %d counts, want the larger one", got)
	}
	if _, err := provision(t, `{"max_records": -1}`); err == nil {
		t.Error("a negative bound was accepted")
	}
	cleanup(t, first)
	cleanup(t, new(Memory)) // never provisioned
	cleanup(t, first)       // a second time
	if n := references(); n != 1 {
		t.Errorf("%d references for one configuration", n)
	}
	if have := kept(t, other, "a"); have != "a" {
		t.Error("a session was lost in a reload")
	}
	if have := kept(t, first, "a"); have != "a" {
		t.Error("a request under way lost its store in a reload")
	}
	cleanup(t, other)
	if n := references(); n != 0 {
		t.Errorf("%d references after the last configuration has ended", n)
	}
	// LoadModuleByID has the contexts run cleanups as well. The second cleanup above
	// checks that these change nothing.
	last := mustProvision(t, `{"max_records": 10}`)
	defer cleanup(t, last)
	if have := kept(t, last, "a"); have != "" {
		t.Error("a session outlived the last configuration")
	}
}
