package databasetest_test

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestNewDatabaseKeepsWhatIsWritten(t *testing.T) {
	t.Parallel()
	db := databasetest.New(t)
	created := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	err := db.Update(t.Context(), func(x store.Tx) error {
		if err := x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}); err != nil {
			return err
		}
		return x.PutUser(&store.User{ID: "u1", Kind: store.Person, Name: "Ada", Groups: []string{"staff", "admins"}, Created: created})
	})
	if err != nil {
		t.Fatalf("expected the user to be written, seen %v", err)
	}
	err = db.View(t.Context(), func(x store.Tx) error {
		u, err := x.UserByName("ada")
		if err != nil {
			return err
		}
		if !u.Created.Equal(created) {
			t.Errorf("expected the time %v, seen %v", created, u.Created)
		}
		return nil
	})
	if err != nil {
		t.Errorf("expected the user to be found, seen %v", err)
	}
}
