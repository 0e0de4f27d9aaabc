package server

import (
	"errors"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

func TestPasskeysOfAnotherHostKeepTheServerClosed(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	user := n.addUser("ada")
	err := n.Store.Update(t.Context(), func(tx store.Tx) error {
		return tx.PutFactor(store.Factor{ID: "f1", UserID: user.ID, Kind: store.Passkey, Confirmed: true, CredentialID: []byte("c1")})
	})
	if err != nil {
		t.Fatal(err)
	}
	n.restart()
	other := n.options
	other.Issuer, err = address.ParseOrigin("https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		accept bool
		fails  bool
	}{
		{"another host", false, true},
		{"the same, accepted", true, false},
		{"the same afterwards", false, false},
	} {
		other.AcceptRPID = step.accept
		opened, err := Open(t.Context(), other)
		if (err != nil) != step.fails {
			t.Fatalf("%s: expected a failure to be %v, seen %v", step.name, step.fails, err)
		}
		if errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: expected an error that does not go away, seen %v", step.name, err)
		}
		if err == nil {
			if err := opened.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
