package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := deploy(t)
			storetest.Run(t, func(t *testing.T) storetest.Pair {
				return storetest.Pair{A: open(t, config).link, B: open(t, config).link}
			})
		})
	}
}

// No copy outlives a change, even if they race.
func TestOwnChangesUnderLoad(t *testing.T) {
	t.Parallel()
	n := open(t, &Store{URL: redistest.Start(t).URL()})
	end := time.Now().Add(time.Second)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for time.Now().Before(end) {
				if _, err := n.Load(context.Background(), "a", "b", "c"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := 0; time.Now().Before(end); i++ {
		record := fmt.Sprint(i)
		n.mustSave(t, "a", record)
		n.loads(t, "a", record)
		done, err := n.Replace(t.Context(), "a", []byte(record), []byte(record+"r"), soon())
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			t.Fatal("expected the record to be replaced, seen that it was not")
		}
		n.loads(t, "a", record+"r")
		if err := n.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		n.loads(t, "a", "")
	}
	all.Wait()
}

func TestPool(t *testing.T) {
	t.Parallel()
	server := redistest.StartWithPassword(t, "a-secret")
	config := fmt.Appendf(nil, `{"url": %q, "password": "{file.%s}", "prefix": "pool:"}`,
		"redis://"+server.Addr, written(t, "a-secret"))
	var all []*Store
	for range 2 {
		s := new(Store)
		if err := json.Unmarshal(config, s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		defer cancel()
		if err := s.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%+v", s.Password), "a-secret") {
			t.Error("the password was written into the option")
		}
		all = append(all, s)
	}
	if all[0].link != all[1].link {
		t.Error("the same options have links of their own")
	}
	if n := server.Connections(); n != 0 {
		t.Errorf("%d connections before the first use", n)
	}
	all[0].link.linger = 100 * time.Millisecond
	if err := all[0].Save(t.Context(), "a", []byte("1"), soon()); err != nil {
		t.Fatal(err)
	}
	links.Range(func(key, _ any) bool {
		if strings.Contains(key.(string), "secret") {
			t.Error("the pool's key holds the password")
		}
		return true
	})
	for i, s := range all {
		if err := s.Cleanup(); err != nil {
			t.Fatal(err)
		}
		if err := s.Cleanup(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(t.Context(), "a"); err != nil {
			t.Errorf("after %d of 2 configurations ended: %v", i+1, err)
		}
	}
	for began := time.Now(); server.Connections() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d connections are left", server.Connections())
		}
	}
	if _, err := all[0].Load(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), errClosed.Error()) {
		t.Errorf("after the end: expected the error %q, seen %v", errClosed, err)
	}
}

// Not parallel: it counts the goroutines of the whole process.
func TestNothingIsLeft(t *testing.T) {
	deployments := maps.Clone(deployments)
	var hanging *redistest.Server
	deployments["hanging"] = func(t testing.TB) *Store {
		hanging = redistest.Start(t)
		return &Store{URL: hanging.URL()}
	}
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			config := deploy(t)
			before := runtime.NumGoroutine()
			n := open(t, config)
			n.mustSave(t, "a", "1")
			n.loads(t, "a", "1")
			unlock, err := n.Lock(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			unlock()
			if name == "hanging" {
				hanging.Pause()
			}
			n.end()
			for began := time.Now(); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
				if time.Since(began) > patience {
					stacks := make([]byte, 1<<20)
					t.Fatalf("%d goroutines were there, and %d are: %s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
				}
			}
		})
	}
}
