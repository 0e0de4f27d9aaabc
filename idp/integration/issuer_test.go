package integration_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// If the database has passkeys of another host, the provider does not open until an
// operator accepts their loss. Then users can sign in.
func TestPasskeysOfAnotherHostWaitForAnOperator(t *testing.T) {
	t.Parallel()
	folder := folderOf(t)
	havePasskey(t, filepath.Join(folder, "accounts.db"), "old.example.com")
	h := newNode(t, folder, fmt.Sprintf(protected, ""))
	o := h.operators()
	if status := h.browser().get(appURL + "/").status; status != http.StatusServiceUnavailable {
		t.Errorf("expected 503 before, seen %d", status)
	}
	o.refuses("1 passkeys are bound to old.example.com", "user", "list")
	o.refuses("add --yes", "accept-issuer")
	o.has(o.does("accept-issuer", "--yes"), `"issuer":"`+h.idpURL+`"`)
	o.refuses("there are no passkeys of another host", "accept-issuer", "--yes")
	h.addUser("alice")
	h.by.Add(int64(time.Minute)) // after the pause until the site retries
	h.browser().get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	o.has(h.logs(), `"event":"open_failed"`, `"event":"issuer_accepted"`)

	h.reload(fmt.Sprintf(protected, ""), "name Other") // opens another provider
	o.does("user", "list")
	if seen := strings.Count(h.logs(), `"event":"issuer_accepted"`); seen != 1 {
		t.Errorf("expected that it lasts, seen %d", seen)
	}
}

// havePasskey creates a database with a passkey for a host.
func havePasskey(t *testing.T, file, host string) {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{SQLite: file, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.PutUser(&store.User{ID: "u1", Kind: store.Person, Name: "ada", Created: time.Now()}); err != nil {
			return err
		}
		if err := tx.PutFactor(store.Factor{ID: "f1", UserID: "u1", Kind: store.Passkey, Confirmed: true, CredentialID: []byte("c1")}); err != nil {
			return err
		}
		return tx.SetSetting("passkey_rp_id", host)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
