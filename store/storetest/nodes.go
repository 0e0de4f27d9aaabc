package storetest

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// changes are all ways to change a record that is there. Each returns what it
// is to be afterwards.
var changes = map[string]func(t testing.TB, s store.Store, key string) string{
	"Save":   func(t testing.TB, s store.Store, key string) string { save(t, s, key, "new", hour); return "new" },
	"Delete": func(t testing.TB, s store.Store, key string) string { remove(t, s, key); return nothing },
	"Replace": func(t testing.TB, s store.Store, key string) string {
		replace(t, s, key, "old", "new", hour)
		return "new"
	},
}

func ownChanges(t testing.TB, p Pair) {
	for what, change := range changes {
		key := newKey()
		sees(t, "Load", p.A.Load, []string{key}, nothing) // and may keep a copy of it
		save(t, p.A, key, "old", hour)
		sees(t, "Load after Save", p.A.Load, []string{key}, "old")
		want := change(t, p.A, key)
		sees(t, "Load after "+what, p.A.Load, []string{key}, want)
	}
}

func otherChanges(t testing.TB, p Pair) {
	wants := make(map[string]string)
	for what, change := range changes {
		key := newKey()
		sees(t, "Load", p.B.Load, []string{key}, nothing)
		save(t, p.A, key, "old", hour)
		sees(t, "Reload after Save", p.B.Reload, []string{key}, "old")
		sees(t, "Load", p.B.Load, []string{key}, string(found(t, "Load", p.B.Load, key)[0]))
		wants[key] = change(t, p.A, key)
		if what != "Delete" { // where a Reload would tell the copy as well
			sees(t, "Reload after "+what, p.B.Reload, []string{key}, wants[key])
		}
	}
	deadline := time.Now().Add(seconds)
	for key, want := range wants {
		for string(found(t, "Load", p.B.Load, key)[0]) != want {
			if time.Now().After(deadline) {
				t.Fatalf("Load finds no change by the other node within %v", seconds)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// neverBack has one writer on node A and readers on both: what was there
// before a look began is the least that it may find.
func neverBack(t testing.TB, p Pair) {
	const rounds = 60
	key := newKey()
	save(t, p.A, key, "0", hour)
	var written atomic.Int64
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 4*patience)
	defer cancel()
	read := func(what string, look look) {
		all.Go(func() {
			for {
				least := written.Load()
				got, err := look(ctx, key)
				if err != nil || len(got) != 1 {
					t.Errorf("%s: %v", what, err)
					return
				}
				digits, _, _ := bytes.Cut(got[0], []byte(" "))
				if number, err := strconv.ParseInt(string(digits), 10, 64); err != nil || number < least {
					t.Errorf("%s found %s after %d had been saved", what, brieflyOf(got[0]), least)
					return
				}
				if least == rounds {
					return
				}
				time.Sleep(200 * time.Microsecond) // others want to run as well
			}
		})
	}
	for range 3 {
		read("Load", p.A.Load)
		read("Reload", p.A.Reload)
		read("Reload on the other node", p.B.Reload)
	}
	old := []byte("0")
	for number := 1; number <= rounds; number++ {
		record := append(strconv.AppendInt(nil, int64(number), 10), bytes.Repeat([]byte(" "), number%7*100)...)
		var err error
		if number%5 == 0 {
			var done bool
			if done, err = p.A.Replace(ctx, key, old, record, time.Now().Add(hour)); err == nil && !done {
				t.Error("the only writer did not replace its record")
			}
		} else {
			err = p.A.Save(ctx, key, record, time.Now().Add(hour))
		}
		if err != nil {
			t.Errorf("write: %v", err)
		}
		old = record
		written.Store(int64(number))
		time.Sleep(2 * time.Millisecond) // for the readers to see it
	}
	all.Wait()
}
