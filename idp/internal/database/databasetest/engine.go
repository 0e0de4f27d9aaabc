package databasetest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// RunEngine checks what the contract of package store does not cover: opening, backups, and
// databases that do not respond. empty returns the options of a database that does not
// exist yet.
func RunEngine(t *testing.T, empty func(testing.TB) database.Options) {
	for name, test := range engineTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty)
		})
	}
}

// open opens a database until the end of the test.
func open(t testing.TB, options database.Options) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), options)
	if err != nil {
		t.Fatalf("expected the database to open, seen %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Fill writes a row of each kind, and rows of several users. Every field has a value in at
// least one row.
func Fill(x store.Tx) error {
	passkey := store.Factor{ID: "f2", UserID: "u2", Kind: store.Passkey, CredentialID: []byte{0, 255}, Secret: []byte("{}"), Confirmed: true}
	return errors.Join(
		x.PutUser(wholeUser()), x.PutUser(&store.User{ID: "u2", Kind: store.Person, Name: "Zoë <&>\u2028 \"'"}),
		x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}),
		x.PutGroup(store.Group{Name: "staff", Operator: true, Created: Start}),
		x.PutIdentity(store.Identity{External: "partners", Issuer: "https://idp.example", Subject: "42", UserID: "u1", Name: "ada", Created: Start}),
		x.PutAccessKey(store.AccessKey{ID: "k1", UserID: "u1", Hash: store.HashOf("key"), Created: Start}),
		x.PutFactor(store.Factor{ID: "f1", UserID: "u1", Kind: store.HOTP, Label: "Token", Confirmed: true, Secret: []byte{0, 1, 254}, Counter: 1<<62 + 1, Created: Start}),
		x.PutFactor(passkey), x.SetRecoveryCodes("u1", []store.Hash{store.HashOf("code")}),
		x.PutCounter(store.Counter{Key: "password/u1", Failures: 3, Until: after(time.Hour)}),
		x.PutSigningKey(store.SigningKey{ID: "kid", Alg: "ES256", Sealed: []byte("sealed"), Created: Start}),
		x.SetSetting(store.SettingHadAccount, "yes"),

		x.PutSession(wholeSession()), x.AddSessionClient("s1", "wiki"), x.PutRequest(store.Request{ID: "r1", Data: []byte("{}")}),
		x.AddTicket(wholeTicket()), x.PutGrant(wholeGrant()), x.PutToken(store.Token{Hash: store.HashOf("t"), GrantID: "g1"}),
		x.AddDelivery(store.Delivery{ID: "d1"}),
	)
}

//go:embed testdata/v1.backup.gz
var version1 []byte

// RestoreVersion1 restores a backup that version 1 made of the rows of Fill.
func RestoreVersion1(t testing.TB, db *database.DB) *database.DB {
	t.Helper()
	restore(t, db, version1, latest)
	return db
}

// passing are the tables that backups omit.
var passing = []string{
	"sessions", "session_clients", "requests", "tickets", "grants", "retired_refresh_tokens", "tokens", "deliveries",
}

// contents returns the rows of each table, in the same form for both engines.
func contents(t testing.TB, db *database.DB) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	err := db.Rows(t.Context(), func(table string, columns []string, row []any) error {
		var text bytes.Buffer
		for i, v := range row {
			if b, ok := v.(bool); ok { // PostgreSQL only
				v = map[bool]int64{false: 0, true: 1}[b]
			}
			fmt.Fprintf(&text, "%s=%#v ", columns[i], v)
		}
		all[table] = append(all[table], text.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lasting returns the contents of the tables that backups include.
func lasting(t testing.TB, db *database.DB) map[string][]string {
	all := contents(t, db)
	for _, table := range passing {
		delete(all, table)
	}
	return all
}

// filled opens a database that has a row of each kind.
func filled(t testing.TB, options database.Options) *database.DB {
	t.Helper()
	db := open(t, options)
	if err := db.Update(t.Context(), Fill); err != nil {
		t.Fatal(err)
	}
	return db
}

func backup(t testing.TB, db *database.DB) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := db.Backup(t.Context(), &b, Start); err != nil {
		t.Fatalf("expected a backup, seen %v", err)
	}
	return b.Bytes()
}

func restore(t testing.TB, db *database.DB, backup []byte, options database.RestoreOptions) database.BackupInfo {
	t.Helper()
	info, err := db.Restore(t.Context(), bytes.NewReader(backup), options)
	if err != nil {
		t.Fatalf("expected the backup to be restored, seen %v", err)
	}
	return info
}

var latest = database.RestoreOptions{Latest: true}

var engineTests = map[string]func(*testing.T, func(testing.TB) database.Options){
	"what was written is there when it is opened again": func(t *testing.T, empty func(testing.TB) database.Options) {
		options := empty(t)
		db := filled(t, options)
		want := contents(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		same(t, "contents", want, contents(t, open(t, options)))
	},
	"every table has a row in these tests": func(t *testing.T, empty func(testing.TB) database.Options) {
		same(t, "tables", 19, len(contents(t, filled(t, empty(t)))))
	},
	"several nodes may open an empty database at once": func(t *testing.T, empty func(testing.TB) database.Options) {
		options := empty(t)
		results := make(chan error)
		for range 4 {
			go func() {
				db, err := database.Open(t.Context(), options)
				if err == nil {
					err = db.Close()
				}
				results <- err
			}()
		}
		for range 4 {
			if err := <-results; err != nil {
				t.Errorf("expected the database to open, seen %v", err)
			}
		}
	},
	"three nodes count together": func(t *testing.T, empty func(testing.TB) database.Options) {
		options := empty(t)
		nodes := []*database.DB{open(t, options), open(t, options), open(t, options)}
		n := together(t.Context(), t, 150, nil, func(ctx context.Context, i int) error {
			return nodes[i%3].Update(ctx, func(x store.Tx) error {
				c, err := x.Counter("a")
				if err != nil {
					return err
				}
				c.Failures++
				return x.PutCounter(c)
			})
		})
		same(t, "changes", 150, n)
		counter := read(&subject{t, nodes[1]}, func(x store.Tx) (store.Counter, error) { return x.Counter("a") })
		same(t, "counter", 150, counter.Failures)
	},
	"a database that was closed does not answer": func(t *testing.T, empty func(testing.TB) database.Options) {
		db := open(t, empty(t))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		nothing := func(store.Tx) error { return nil }
		for name, err := range map[string]error{"Update": db.Update(t.Context(), nothing), "View": db.View(t.Context(), nothing)} {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: expected %q, seen %v", name, store.ErrUnavailable, err)
			}
		}
	},
	"a transaction that takes too long ends": func(t *testing.T, empty func(testing.TB) database.Options) {
		options := empty(t)
		options.Timeout = 100 * time.Millisecond
		open(t, options).Close() //nolint:errcheck // it exists from now on
		db := open(t, options)
		err := db.Update(t.Context(), func(x store.Tx) error {
			time.Sleep(150 * time.Millisecond)
			return x.SetSetting("a", "1")
		})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("expected %q, seen %v", store.ErrUnavailable, err)
		}
		if err := db.Update(t.Context(), func(x store.Tx) error { return x.SetSetting("a", "2") }); err != nil {
			t.Errorf("expected the next transaction to succeed, seen %v", err)
		}
	},
	"a backup becomes the same database": func(t *testing.T, empty func(testing.TB) database.Options) {
		db := filled(t, empty(t))
		saved := backup(t, db)
		other := open(t, empty(t))
		info := restore(t, other, saved, latest)
		same(t, "contents", lasting(t, db), contents(t, other))
		same(t, "created", Start, info.Created)
		same(t, "users", 1, info.Users)
		same(t, "second backup", saved, backup(t, other))
	},
	"a backup leads from SQLite to this engine and back": func(t *testing.T, empty func(testing.TB) database.Options) {
		sqlite, here, back := New(t), open(t, empty(t)), New(t)
		if err := sqlite.Update(t.Context(), Fill); err != nil {
			t.Fatal(err)
		}
		restore(t, here, backup(t, sqlite), latest)
		restore(t, back, backup(t, here), latest)
		same(t, "contents here", lasting(t, sqlite), contents(t, here))
		same(t, "contents back", lasting(t, sqlite), contents(t, back))
	},
	"a backup of version 1 can be restored": func(t *testing.T, empty func(testing.TB) database.Options) {
		same(t, "contents", lasting(t, filled(t, empty(t))), contents(t, RestoreVersion1(t, open(t, empty(t)))))
	},
	"restoring ends what was going on, and replaces the rest": func(t *testing.T, empty func(testing.TB) database.Options) {
		db := filled(t, empty(t))
		saved := backup(t, db)
		want := lasting(t, db)
		delete(want, "recovery_codes") // the codes may have been used since the backup
		want["deliveries"] = contents(t, db)["deliveries"]
		err := db.Update(t.Context(), func(x store.Tx) error {
			return errors.Join(x.PutUser(&store.User{ID: "u3", Name: "late"}), x.PutUser(&store.User{ID: "u1", Name: "changed"}),
				x.Reserve(store.Name{Key: "late", UserID: "u3"}))
		})
		if err != nil {
			t.Fatal(err)
		}
		restore(t, db, saved, database.RestoreOptions{})
		same(t, "contents", want, contents(t, db))
	},
	"the caller's part of restoring is in the same transaction": func(t *testing.T, empty func(testing.TB) database.Options) {
		db := filled(t, empty(t))
		saved, before := backup(t, db), contents(t, db)
		_, err := db.Restore(t.Context(), bytes.NewReader(saved), database.RestoreOptions{Then: func(store.Tx) error { return errOwn }})
		same(t, "error", errOwn, err)
		same(t, "contents", before, contents(t, db))
		restore(t, db, saved, database.RestoreOptions{Then: func(x store.Tx) error { return x.SetSetting("restored", "now") }})
		v := read(&subject{t, db}, func(x store.Tx) (string, error) { return x.Setting("restored") })
		same(t, "setting", "now", v)
	},
	"a backup that is damaged changes nothing": func(t *testing.T, empty func(testing.TB) database.Options) {
		db := filled(t, empty(t))
		saved, before := backup(t, db), contents(t, db)
		const header = 10 // of gzip; its time does not matter
		for n := header; n < len(saved); n += 1 + len(saved)/20 {
			flipped := bytes.Clone(saved)
			flipped[n] ^= 0x10
			for name, damaged := range map[string][]byte{"only the first bytes": saved[:n], "a flipped bit": flipped} {
				if _, err := db.Restore(t.Context(), bytes.NewReader(damaged), latest); err == nil {
					t.Errorf("expected an error for %s, at %d of %d, seen none", name, n, len(saved))
				}
			}
		}
		same(t, "contents", before, contents(t, db))
	},
	"backups are made while others read and write": func(t *testing.T, empty func(testing.TB) database.Options) {
		db := filled(t, empty(t))
		stop, done := make(chan struct{}), make(chan error)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					done <- nil
					return
				case <-time.After(time.Millisecond):
				}
				id := fmt.Sprint("user ", n)
				err := db.Update(t.Context(), func(x store.Tx) error {
					return errors.Join(x.PutUser(&store.User{ID: id, Name: id}), x.Reserve(store.Name{Key: id, UserID: id}))
				})
				if err != nil {
					done <- err
					return
				}
			}
		}()
		for range 3 {
			other := New(t)
			restore(t, other, backup(t, db), latest) // fails if a name has no user
		}
		close(stop)
		if err := <-done; err != nil {
			t.Errorf("expected writing to go on, seen %v", err)
		}
	},
}
