package revocation

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestStoragesOfOtherKinds(t *testing.T) {
	t.Parallel()
	below := func(folder string, keys []string) (found []string) {
		for _, key := range keys {
			if strings.HasPrefix(key, folder+"/") {
				found = append(found, key)
			}
		}
		return found
	}
	each := func(keys []string, change func(string) string) []string {
		changed := make([]string, len(keys))
		for i, key := range keys {
			changed[i] = change(key)
		}
		return changed
	}
	for name, list := range map[string]func(folder string, recursive bool, children, all []string) []string{
		"whole keys": func(_ string, _ bool, children, _ []string) []string { return children },
		"folders with a slash at the end": func(_ string, _ bool, children, _ []string) []string {
			return each(children, func(k string) string { return k + "/" })
		},
		"keys relative to the folder": func(_ string, _ bool, children, _ []string) []string { return each(children, path.Base) },
		"keys with a prefix of its own": func(_ string, _ bool, children, _ []string) []string {
			return each(children, func(k string) string { return "/caddy/prefix/" + k })
		},
		"always all that lies deeper": func(folder string, _ bool, _, all []string) []string { return below(folder, all) },
		"folders and what lies deeper": func(folder string, _ bool, children, all []string) []string {
			return append(children, below(folder, all)...)
		},
		"all keys of the storage, with its prefix": func(_ string, _ bool, _, all []string) []string {
			return each(all, func(k string) string { return "acme/" + k })
		},
		"the folder itself as well": func(folder string, _ bool, children, _ []string) []string {
			return append([]string{folder, folder + "/"}, children...)
		},
		"files alone unless it is recursive": func(folder string, recursive bool, children, all []string) []string {
			if recursive {
				return below(folder, all)
			}
			return slices.DeleteFunc(children, func(k string) bool { return !slices.Contains(all, k) })
		},
		"the keys twice, in any order": func(_ string, _ bool, children, _ []string) []string {
			slices.Reverse(children)
			return append(children, children...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			clustertest.InBubble(t, func(t *testing.T) {
				storage := newMemory()
				storage.Listing = list
				storage.Files["certificates/acme/app.example/app.example.crt"] = []byte("x")
				storage.Files[logRoot+"/README"] = []byte("not ours")
				a, b := storage.node(time.Now), storage.node(time.Now)
				poll(t, a, b)
				var sessions []*session.Session
				for range 3 {
					s := living()
					sessions = append(sessions, s)
					end(t, a, endedNow(s))
					poll(t, b)
					if got := knows(b, sessions...); got != len(sessions) {
						t.Errorf("%d of %d are known", got, len(sessions))
					}
					time.Sleep(time.Minute)
				}
				time.Sleep(13 * time.Hour)
				poll(t, a, b)
				sweep(t, a)
				poll(t, a, b)
				if keys := storage.Keys(); len(keys) != 2 {
					t.Errorf("after the sweep: %q", keys)
				}
				if len(b.folders) != 0 {
					t.Errorf("%d folders are remembered", len(b.folders))
				}
			})
		})
	}
}

// A List that sees something vanish is tried again, twice. If it then still returns only a
// part, the reading fails, and the node is not ready: the other part may have logouts.
func TestSomethingVanishesWhileAFolderIsListed(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a := storage.node(time.Now)
		one, other := living(), living()
		end(t, a, endedNow(one))
		time.Sleep(time.Minute) // the other logout is in another folder
		end(t, a, endedNow(other))
		for vanish := range 12 {
			b := storage.node(time.Now)
			storage.Vanish = vanish
			err := b.Poll(t.Context())
			if want := vanish >= 3; (err != nil) != want {
				t.Errorf("after %d failures: expected an error %t, seen %v", vanish, want, err)
			}
			if known := knows(b, one, other); b.Ready(t.Context()) == nil && known != 2 {
				t.Errorf("after %d failures: expected a node that is ready to know 2 logouts, seen %d", vanish, known)
			}
			storage.Vanish = 0
			poll(t, b)
			wantEnded(t, "when nothing vanishes", b, one, other)
		}
	})
}

func TestFilesUnderOtherNamesAreNotRead(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		end(t, j, endedNow(living()))
		folder := path.Dir(storage.Keys()[0])
		for i, other := range []string{"README", ".tmp-1", "0123456789abcdef-1.tmp", "0123456789abcdef", "0123456789ABCDEF-1", "0123456789abcdef--1"} {
			storage.Files[folder+"/"+other] = endedNow(living()).appendLine(nil)
			if isFile(other) {
				t.Errorf("%d: %q passes for a file", i, other)
			}
		}
		fresh := storage.node(time.Now)
		poll(t, fresh)
		if fresh.len() != 1 {
			t.Errorf("%d events", fresh.len())
		}
	})
}
