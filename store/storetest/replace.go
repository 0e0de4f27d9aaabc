package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func replaceNothing(t testing.TB, p Pair) {
	key := newKey()
	for range 2 {
		if replace(t, p.A, key, "old", "new", hour) {
			t.Error("nothing was replaced")
		}
		p.gone(t, key)
	}
	save(t, p.A, key, "old", hour)
	remove(t, p.A, key)
	if replace(t, p.A, key, "old", "new", hour) || replace(t, p.B, key, "old", "new", hour) {
		t.Error("what was deleted was replaced")
	}
	p.gone(t, key)
}

func replaceOther(t testing.TB, p Pair) {
	key := newKey()
	save(t, p.A, key, "a record", hour)
	for _, old := range []string{"another", "a recor", "a records", "A record", "a record\x00", "a recora"} {
		if replace(t, p.A, key, old, "new", hour) {
			t.Errorf("a record was replaced in the place of %q", old)
		}
		p.seenBy(t, key, "a record")
	}
}

func replaceOld(t testing.TB, p Pair) {
	key := newKey()
	save(t, p.A, key, "first", hour)
	sees(t, "Load", p.B.Load, []string{key}, "first") // and may keep a copy
	if !replace(t, p.A, key, "first", "second", hour) {
		t.Fatalf("a record was not replaced")
	}
	p.seenBy(t, key, "second")
	if replace(t, p.B, key, "first", "third", hour) {
		t.Error("the other node replaced a record that was there no more")
	}
	p.seenBy(t, key, "second")
	if !replace(t, p.B, key, "second", "third", hour) {
		t.Error("the other node did not replace the record")
	}
	sees(t, "Load where it was changed", p.B.Load, []string{key}, "third")
	sees(t, "Reload", p.A.Reload, []string{key}, "third")
	if !replace(t, p.A, key, "third", "third", hour) {
		t.Error("a record was not replaced by the same")
	}
}

// replaceRace gives each of 50 a record of its own to put there.
func replaceRace(t testing.TB, p Pair) {
	key := newKey()
	save(t, p.A, key, "old", hour)
	var all sync.WaitGroup
	var done atomic.Int64
	var winner atomic.Value
	begin := make(chan struct{})
	for i := range 50 {
		s, mine := []store.Store{p.A, p.B}[i%2], fmt.Sprintf("by %d", i)
		all.Go(func() {
			<-begin
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 4*patience)
			defer cancel()
			ok, err := s.Replace(ctx, key, []byte("old"), []byte(mine), time.Now().Add(hour))
			if err != nil {
				t.Errorf("Replace: %v", err)
			}
			if ok {
				done.Add(1)
				winner.Store(mine)
			}
		})
	}
	close(begin)
	all.Wait()
	if done.Load() != 1 {
		t.Fatalf("%d of 50 replacements were done", done.Load())
	}
	for name, s := range p.nodes() {
		sees(t, "Reload on node "+name, s.Reload, []string{key}, winner.Load().(string))
	}
}
