package redis

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

var _ store.Versioned = (*link)(nil)

// looks loads a key, and returns the version from just before.
func (n node) looks(t *testing.T, key, want string) (version uint64) {
	t.Helper()
	version = n.Version()
	n.loads(t, key, want)
	return version
}

// moves waits until the version differs from was.
func (n node) moves(t *testing.T, was uint64, most time.Duration, why string) {
	t.Helper()
	for began := time.Now(); n.Version() == was; time.Sleep(time.Millisecond) {
		if time.Since(began) > most {
			t.Fatalf("%s: the version is the same after %v", why, most)
		}
	}
}

func TestVersionMovesWithEveryChange(t *testing.T) {
	t.Parallel()
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := deploy(t)
			here, there := open(t, config), open(t, config)
			here.mustSoonSave(t, "a", "1")
			for _, change := range []struct {
				name, want string
				do         func() error
			}{
				{"saved", "2", func() error { return there.Save(t.Context(), "a", []byte("2"), soon()) }},
				{"replaced", "3", func() error { _, err := there.Replace(t.Context(), "a", []byte("2"), []byte("3"), soon()); return err }},
				{"deleted", "", func() error { return there.Delete(t.Context(), "a") }},
				{"made", "4", func() error { return there.Save(t.Context(), "a", []byte("4"), soon()) }},
			} {
				here.Load(t.Context(), "a") // so that the server knows which nodes have a copy
				was := here.looks(t, "a", map[string]string{"saved": "1", "replaced": "2", "deleted": "3", "made": ""}[change.name])
				if err := change.do(); err != nil {
					t.Fatal(err)
				}
				// The timer changes the version as well, but usually later.
				here.moves(t, was, patience, "another node has "+change.name)
				here.awaits(t, "a", change.want, patience)
			}
			was := here.looks(t, "a", "4")
			if err := here.Save(t.Context(), "a", []byte("5"), soon()); err != nil {
				t.Error(err)
			}
			if here.Version() == was {
				t.Errorf("a change of this node's own: expected another version, seen %d again", was)
			}
		})
	}
}

// The server reports a change at once. The timer that changes the version as well does
// so within a quarter of its interval in one of four cases. A busy machine gets more
// attempts.
func TestVersionMovesAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := &Store{URL: server.URL()}
	here, there := open(t, config), open(t, config)
	here.mustSave(t, "a", "1")
	quick := 0
	for range 20 {
		quick = 0
		for range 10 {
			was := here.looks(t, "a", "1")
			began := time.Now()
			there.mustSave(t, "a", "1")
			here.moves(t, was, patience, "a change")
			if time.Since(began) < versionFor/4 {
				quick++
			}
		}
		if quick >= 8 {
			return
		}
	}
	t.Errorf("expected eight of ten changes at least to be seen at once, seen %d", quick)
}

// If the server ends or is silent, the version changes and then becomes unknown.
func TestVersionOfAServerThatIsGone(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "silent": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(defaultTimeout)})
			n.mustSoonSave(t, "a", "1")
			was := n.looks(t, "a", "1")
			stop(server)
			n.moves(t, was, patience, name)
			n.fails(t, "a", patience)
			if got := n.Version(); got != 0 {
				t.Errorf("expected no version, seen %d", got)
			}
		})
	}
}
