//go:build unix

package server

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// bound is how far the median of the work on the passwords of an account may be
// from that of a known one, as a part of it. What is left is hidden by the slots at
// which answers leave. Without a hash, the work would be a twentieth.
const bound = 0.5

// cpu returns the time that this process has computed for.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Answers to wrong passwords cost the same for names that exist, do not exist, are
// locked, or have no password. What is measured is the time that the process
// computes for, since other processes disturb it little; so no test runs beside this
// one. The wait for the slot is left out.
func TestThePasswordPageCostsTheSameForAll(t *testing.T) { //nolint:paralleltest // see above
	n := newNode(t)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if n.Server, err = Open(t.Context(), n.options); err != nil { // with the costs of hashes that users have
		t.Fatal(err)
	}
	n.addUser("known")
	guessed := n.addUser("guessed")
	if _, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "nopassword"}); err != nil {
		t.Fatal(err)
	}
	locked := n.addUser("locked")
	if _, err := n.Accounts.Lock(t.Context(), locked.ID); err != nil {
		t.Fatal(err)
	}
	err = n.Store.Update(t.Context(), func(tx store.Tx) error {
		return tx.PutCounter(store.Counter{Key: "account/" + guessed.ID + "/signin", Total: 10, Locks: 1, Until: n.clock.Now().Add(time.Hour)})
	})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"known", "unknown", "guessed", "nopassword", "locked"}
	browsers := make(map[string]*browser)
	for _, name := range names {
		browsers[name] = n.browser()
		browsers[name].authorize().submit("username", name).expect(`name="password"`)
	}
	const rounds = 5 // fewer than lock the known one
	took := make(map[string][]time.Duration)
	for range rounds {
		for _, name := range names {
			runtime.GC() // of 64 MiB a hash, at a time of our choice
			began := cpu(t)
			browsers[name].submit("password", "a wrong password").expect("That did not work")
			took[name] = append(took[name], cpu(t)-began)
		}
	}
	medians := make(map[string]time.Duration)
	for name, times := range took {
		slices.Sort(times)
		medians[name] = times[len(times)/2]
	}
	for _, name := range names {
		if difference := (medians[name] - medians["known"]).Abs(); difference.Seconds() > bound*medians["known"].Seconds() {
			t.Errorf("expected the median for %s within %v%% of that for a known name, seen %v and %v", name, 100*bound, medians[name], medians["known"])
		}
	}
	t.Logf("medians: %v", medians)
}
