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

// bound is the largest allowed difference between the median CPU time for a name and that
// for a known name, as a fraction of the latter. The slots at which answers leave hide such
// differences. Without a hash, the work would be a twentieth.
const bound = 0.5

// cpu returns the CPU time of this process.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Answers to wrong passwords cost the same for names that exist, do not exist, are locked,
// or have no password. The test measures the CPU time of the process, because other
// processes hardly affect it, so no other test may run in parallel. The wait for the slot
// is not measured.
func TestThePasswordPageCostsTheSameForAll(t *testing.T) { //nolint:paralleltest // see above
	n := newNode(t)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if n.Server, err = Open(t.Context(), n.options); err != nil { // with the default costs of hashes
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
	const rounds = 5 // too few to lock the known name
	took := make(map[string][]time.Duration)
	for range rounds {
		for _, name := range names {
			runtime.GC() // collects the 64 MiB of each hash outside of the measurement
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
