package databasetest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const accounts = 100_000

// populate writes accounts. Half of them have a second factor, a fifth have a session.
func populate(b *testing.B, db *database.DB) {
	b.Helper()
	for first := 0; first < accounts; first += 1000 {
		err := db.Update(b.Context(), func(x store.Tx) error {
			for n := first; n < first+1000; n++ {
				if err := account(x, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func account(x store.Tx, n int) error {
	id, name := fmt.Sprintf("id-%06d", n), fmt.Sprintf("user%06d", n)
	user := &store.User{
		ID: id, Kind: store.Person, Name: name, Email: name + "@example.com", DisplayName: "Person " + id, Groups: []string{"staff"},
		Created: databasetest.Start, Password: store.Password{Hash: "$argon2id$v=19$m=65536,t=3,p=2$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"},
	}
	if err := x.PutUser(user); err != nil {
		return err
	}
	for key, kind := range map[string]store.NameKind{name: store.UserName, user.Email: store.Email} {
		if err := x.Reserve(store.Name{Key: key, Kind: kind, UserID: id}); err != nil {
			return err
		}
	}
	if n%2 == 0 {
		if err := x.PutFactor(store.Factor{ID: "f" + id, UserID: id, Kind: store.TOTP, Confirmed: true, Secret: make([]byte, 60)}); err != nil {
			return err
		}
	}
	if n%5 == 0 {
		return x.PutSession(session(n))
	}
	return nil
}

func session(n int) store.Session {
	return store.Session{
		Cookie: store.HashOf(fmt.Sprint("cookie ", n)), SID: fmt.Sprint("sid ", n), UserID: fmt.Sprintf("id-%06d", n), AMR: []string{"pwd", "otp"},
		Created: databasetest.Start, Expires: databasetest.Start.Add(time.Hour), Proven: map[string]time.Time{"pwd": databasetest.Start},
	}
}

// populated is a database file that all benchmarks share, because writing it takes long.
var populated struct {
	sync.Once
	path string
}

func populatedFile(b *testing.B, sync bool) *database.DB {
	b.Helper()
	populated.Do(func() {
		folder, err := os.MkdirTemp("", "databasetest")
		if err != nil {
			b.Fatal(err)
		}
		populated.path = filepath.Join(folder, "accounts.db")
		db, err := database.Open(b.Context(), database.Options{SQLite: populated.path, NoSync: true})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		populate(b, db)
		b.Logf("%d accounts written in %v", accounts, time.Since(began).Round(time.Second))
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	})
	db, err := database.Open(b.Context(), database.Options{SQLite: populated.path, NoSync: !sync})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func TestMain(m *testing.M) {
	code := m.Run()
	if populated.path != "" {
		_ = os.RemoveAll(filepath.Dir(populated.path))
	}
	os.Exit(code)
}

// BenchmarkReads reads among 100,000 accounts, each time in its own transaction.
func BenchmarkReads(b *testing.B) {
	db := populatedFile(b, false)
	for _, c := range []struct {
		name string
		f    func(x store.Tx, n int) error
	}{
		{"nothing", func(store.Tx, int) error { return nil }},
		{"UserByName", func(x store.Tx, n int) error {
			_, err := x.UserByName(fmt.Sprintf("user%06d", n%accounts))
			return err
		}},
		{"SessionByCookie", func(x store.Tx, n int) error {
			_, err := x.SessionByCookie(store.HashOf(fmt.Sprint("cookie ", n*5%accounts)), databasetest.Start)
			return err
		}},
		{"FactorsOf", func(x store.Tx, n int) error { _, err := x.FactorsOf(fmt.Sprintf("id-%06d", n%accounts)); return err }},
		{"Users, 50 at the start", func(x store.Tx, _ int) error { _, err := x.Users(store.UserFilter{}, "", 50); return err }},
		{"Users, 50 in the middle", func(x store.Tx, _ int) error { _, err := x.Users(store.UserFilter{}, "id-050000", 50); return err }},
		{"Users, 50 of a group", func(x store.Tx, _ int) error {
			_, err := x.Users(store.UserFilter{Group: "staff"}, "id-050000", 50)
			return err
		}},
		{"Users, searched, found late", func(x store.Tx, _ int) error {
			_, err := x.Users(store.UserFilter{Search: "R09999"}, "", 50)
			return err
		}},
		{"CountUsers", func(x store.Tx, _ int) error { _, err := x.CountUsers(store.UserFilter{}); return err }},
		{"CountUsers of a kind", func(x store.Tx, _ int) error {
			_, err := x.CountUsers(store.UserFilter{Kind: store.Person})
			return err
		}},
		{"CountUsersWithFactor", func(x store.Tx, _ int) error { _, err := x.CountUsersWithFactor(store.TOTP, store.HOTP); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n += 7919
				if err := db.View(b.Context(), func(x store.Tx) error { return c.f(x, n) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWrites writes among 100,000 accounts and waits for the disk.
func BenchmarkWrites(b *testing.B) {
	db := populatedFile(b, true)
	for _, c := range []struct {
		name string
		f    func(x store.Tx, n int) error
	}{
		{"PutSession", func(x store.Tx, n int) error { return x.PutSession(session(n)) }},
		{"PutUser", func(x store.Tx, n int) error { return account(x, n%accounts) }},
		{"PutCounter", func(x store.Tx, n int) error {
			return x.PutCounter(store.Counter{Key: fmt.Sprint("password/", n), Failures: 1})
		}},
		{"Sweep of nothing", func(x store.Tx, n int) error { _, err := x.Sweep(databasetest.Start, 100); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n += 7919
				if err := db.Update(b.Context(), func(x store.Tx) error { return c.f(x, n) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBackup(b *testing.B) {
	db := populatedFile(b, false)
	var saved bytes.Buffer
	b.Run("Backup", func(b *testing.B) {
		for b.Loop() {
			saved.Reset()
			if _, err := db.Backup(b.Context(), &saved, databasetest.Start); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(saved.Len())/1e6, "MB")
	})
	b.Run("Restore", func(b *testing.B) {
		for b.Loop() {
			if _, err := databasetest.New(b).Restore(b.Context(), bytes.NewReader(saved.Bytes()), database.RestoreOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNew creates an empty database, like most tests of other packages.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if err := databasetest.New(b).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
