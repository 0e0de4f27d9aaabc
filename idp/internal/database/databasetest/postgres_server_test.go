//go:build postgres

package databasetest_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestPostgresErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	good, err := url.Parse(newPostgres(t).Postgres)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*url.URL){
		"a wrong password":    func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "canary") },
		"an unknown user":     func(u *url.URL) { u.User = url.UserPassword("stranger", "canary") },
		"an unknown database": func(u *url.URL) { u.Path = "/nothing" },
	} {
		bad := *good
		change(&bad)
		_, err := database.Open(t.Context(), database.Options{Postgres: bad.String()})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: expected %q, seen %v", name, store.ErrUnavailable, err)
		}
		if password, _ := bad.User.Password(); err != nil && password != bad.User.Username() && strings.Contains(err.Error(), password) {
			t.Errorf("%s: expected no password, seen %v", name, err)
		}
	}
}

func TestPostgresConnectionsThatBrokeAreReplaced(t *testing.T) {
	t.Parallel()
	options := newPostgres(t)
	options.Postgres += "&application_name=broken"
	db := openPostgres(t, options)
	write := func() error {
		return db.Update(t.Context(), func(x store.Tx) error { return x.SetSetting("a", "1") })
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	var n int
	err = admin.QueryRowContext(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'broken'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatal("expected connections to break, seen none")
	}
	for range 5 {
		if err := write(); err != nil {
			t.Errorf("expected writing to go on, seen %v", err)
		}
	}
}

func TestPostgresTransactionThatBreaksIsUnavailable(t *testing.T) {
	t.Parallel()
	options := newPostgres(t)
	options.Postgres += "&application_name=breaks"
	db := openPostgres(t, options)
	admin, err := sql.Open("pgx", server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	err = db.Update(t.Context(), func(x store.Tx) error {
		if _, err := admin.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'breaks'`); err != nil {
			t.Error(err)
		}
		return x.SetSetting("a", "1")
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("expected %q, seen %v", store.ErrUnavailable, err)
	}
}

// An update that conflicts with another client's write is run again, so that no change is
// lost. Other clients take no lock.
func TestPostgresChangesOfOthersAreSeen(t *testing.T) {
	t.Parallel()
	options := newPostgres(t)
	db := openPostgres(t, options)
	if err := db.Update(t.Context(), func(x store.Tx) error { return x.SetSetting("a", "0") }); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("pgx", options.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	calls := 0
	err = db.Update(t.Context(), func(x store.Tx) error {
		v, err := x.Setting("a")
		if err != nil {
			return err
		}
		if calls++; calls <= 3 {
			if _, err := other.ExecContext(t.Context(), "UPDATE settings SET value = value || 'x'"); err != nil {
				return err
			}
		}
		return x.SetSetting("a", v+"!")
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(x store.Tx) error {
		if v, err := x.Setting("a"); v != "0xxx!" || err != nil {
			t.Errorf("expected 0xxx!, seen %q, %v", v, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The first node stops during a transaction, as if its machine had failed.
func TestPostgresNodeThatHangsDoesNotStopOthersForLong(t *testing.T) {
	t.Parallel()
	options := newPostgres(t)
	options.Postgres += "&idle_in_transaction_session_timeout=500"
	first, second := openPostgres(t, options), openPostgres(t, options)
	hangs, over := make(chan struct{}), make(chan error)
	done := make(chan struct{})
	go func() {
		over <- first.Update(context.Background(), func(x store.Tx) error {
			if err := x.SetSetting("a", "1"); err != nil {
				return err
			}
			close(hangs)
			<-done
			return nil
		})
	}()
	<-hangs
	if err := second.Update(t.Context(), func(x store.Tx) error { return x.SetSetting("a", "2") }); err != nil {
		t.Errorf("expected the second node to go on, seen %v", err)
	}
	close(done)
	if err := <-over; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("expected %q of the first node, seen %v", store.ErrUnavailable, err)
	}
}
