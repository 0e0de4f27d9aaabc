//go:build linux

package server

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// measureCPU starts the measurement and reports the CPU time at the end.
func measureCPU(b *testing.B) {
	b.Helper()
	used := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1e6, "cpu-ms/op") })
	b.ResetTimer()
}

// BenchmarkSignIn measures a sign-in from the authorization endpoint to the code, with
// 100,000 accounts in SQLite, without the password hash and the wait for the slot. It takes
// five requests, or two with a session.
func BenchmarkSignIn(b *testing.B) {
	n := newNode(b)
	user := n.addUser("ada")
	const accounts, batch = 100_000, 5_000
	for first := 0; first < accounts; first += batch {
		err := n.Store.Update(b.Context(), func(tx store.Tx) error {
			for i := first; i < first+batch; i++ {
				name := fmt.Sprintf("user%06d", i)
				if err := tx.Reserve(store.Name{Key: name, Kind: store.UserName, UserID: name}); err != nil {
					return err
				}
				if err := tx.PutUser(&store.User{ID: name, Kind: store.Person, Name: name, Created: user.Created, Password: user.Password}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("password", func(b *testing.B) {
		measureCPU(b)
		for b.Loop() {
			n.browser().signIn("ada").answer()
		}
	})
	b.Run("session", func(b *testing.B) {
		browser := n.browser()
		browser.signIn("ada").answer()
		measureCPU(b)
		for b.Loop() {
			browser.authorize().answer()
		}
	})
	b.Run("unknown", func(b *testing.B) { // last, because it locks the address
		measureCPU(b)
		for b.Loop() {
			n.browser().signIn("no one")
		}
	})
}
