// Package storetest is the one suite that every session store has to pass.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// Pair is one store as two nodes have it, each with a value of its own. For a
// store that is only for one process both are the same value.
type Pair struct {
	A, B store.Store

	// Shortest is the least time that a record can be kept, and how late its
	// end may be noticed. Default: 1 s.
	Shortest time.Duration
}

// Run tests a store in real time. Each check opens it again, at once with the
// others; keys never repeat, so that all may share what is behind it.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t).ready())
		})
	}
}

// checks are the sentences of the contract.
var checks = []struct {
	name string
	run  func(testing.TB, Pair)
}{
	{"what was never saved is absent", absent},
	{"many keys are loaded in their order", order},
	{"keys of all forms are apart", keys},
	{"records may hold any bytes", binary},
	{"a record is saved over another", overwrite},
	{"what is deleted is absent", deletion},
	{"a caller may use its bytes again", aliasing},

	{"a record ends when it expires", expiry},
	{"another save sets another end", expirySaved},
	{"a replacement sets another end", expiryReplaced},
	{"what is saved too late is absent", expiredAlready},

	{"nothing is not replaced", replaceNothing},
	{"another record is not replaced", replaceOther},
	{"a record is replaced for all nodes", replaceOld},
	{"of many replacements one is done", replaceRace},

	{"a node sees its own changes at once", ownChanges},
	{"a node sees changes by another one", otherChanges},
	{"a record never goes back to an older one", neverBack},

	{"no answer without a context that lives", cancelled},

	{"a lock is held once", lockOnce},
	{"who waits gets the lock", lockPassed},
	{"who waits for a lock can give up", lockGivenUp},
	{"a lock is given back once", unlockTwice},
	{"locks of other names do not wait", lockNames},
	{"a lock is no record", lockNoRecord},
	{"the next one under a lock sees what was saved", lockOrders},
}

const (
	// patience is how long a call may take that has nothing to wait for.
	patience = 5 * time.Second
	// seconds is how old a copy may be.
	seconds = 5 * time.Second
	// brief is long enough to see that a caller waits.
	brief = 300 * time.Millisecond
	// hour is for records whose end does not matter.
	hour = time.Hour
)

func (p Pair) ready() Pair {
	if p.Shortest == 0 {
		p.Shortest = time.Second
	}
	return p
}

// newKey returns a key that nothing else uses.
func newKey() string {
	var id [16]byte
	rand.Read(id[:])
	return "storetest/" + hex.EncodeToString(id[:])
}

// within runs a call that must not hang.
func within(t testing.TB, what string, call func(context.Context)) {
	t.Helper()
	// The store's own context ends a while before, so that one that does not
	// answer is distinguished from one that ignores its context.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call(ctx)
	}()
	select {
	case <-done:
	case <-time.After(patience + time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// nodes are both, by name.
func (p Pair) nodes() map[string]store.Store {
	return map[string]store.Store{"A": p.A, "B": p.B}
}

func save(t testing.TB, s store.Store, key, record string, lifetime time.Duration) {
	t.Helper()
	var err error
	within(t, "Save", func(ctx context.Context) { err = s.Save(ctx, key, []byte(record), time.Now().Add(lifetime)) })
	if err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func replace(t testing.TB, s store.Store, key, old, record string, lifetime time.Duration) bool {
	t.Helper()
	var done bool
	var err error
	within(t, "Replace", func(ctx context.Context) {
		done, err = s.Replace(ctx, key, []byte(old), []byte(record), time.Now().Add(lifetime))
	})
	if err != nil {
		t.Fatalf("Replace: %v", err)
	}
	return done
}

func remove(t testing.TB, s store.Store, keys ...string) {
	t.Helper()
	var err error
	within(t, "Delete", func(ctx context.Context) { err = s.Delete(ctx, keys...) })
	if err != nil {
		t.Fatalf("Delete: %v", err)
	}
}

// look is Load or Reload.
type look = func(context.Context, ...string) ([][]byte, error)

// nothing is wanted where a record is absent.
const nothing = ""

// sees fails unless a look finds the records, in their order.
func sees(t testing.TB, what string, look look, keys []string, want ...string) {
	t.Helper()
	got := found(t, what, look, keys...)
	for i := range want {
		if (got[i] == nil) != (want[i] == nothing) || !bytes.Equal(got[i], []byte(want[i])) {
			t.Errorf("%s: key %d of %d has %s, want %s", what, i+1, len(keys), brieflyOf(got[i]), brieflyOf([]byte(want[i])))
		}
	}
}

// found returns what a look finds, one record for each key.
func found(t testing.TB, what string, look look, keys ...string) [][]byte {
	t.Helper()
	var got [][]byte
	var err error
	within(t, what, func(ctx context.Context) { got, err = look(ctx, keys...) })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if len(got) != len(keys) {
		t.Fatalf("%s of %d keys returned %d records", what, len(keys), len(got))
	}
	return got
}

// seenBy fails unless the node that made the change, and a Reload of the other
// one, find the record.
func (p Pair) seenBy(t testing.TB, key, want string) {
	t.Helper()
	sees(t, "Load where it was changed", p.A.Load, []string{key}, want)
	sees(t, "Reload where it was changed", p.A.Reload, []string{key}, want)
	sees(t, "Reload on the other node", p.B.Reload, []string{key}, want)
}

func brieflyOf(record []byte) string {
	switch {
	case len(record) == 0:
		return "nothing"
	case len(record) > 24:
		return string(record[:24]) + "…"
	}
	return string(record)
}
