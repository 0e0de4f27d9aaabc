package factors

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestAnotherHostIsRefusedWhilePasskeysExist(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	check := func(of *bench, accept bool) error {
		return b.update(func(tx Tx) error { return of.CheckRPID(tx, accept) })
	}
	for _, c := range []struct {
		name   string
		issuer string
		enrol  bool
		accept bool
		fails  bool
	}{
		{"the first start", "https://login.example.com", false, false, false},
		{"another host without passkeys", "https://id.example.com", false, false, false},
		{"back, with a passkey afterwards", "https://login.example.com", true, false, false},
		{"another port", "https://login.example.com:8443", false, false, false},
		{"another host", "https://id.example.com", false, false, true},
		{"another host again", "https://id.example.com", false, false, true},
		{"an address without a name", "http://127.0.0.1:8080", false, false, true},
		{"another host, accepted", "https://id.example.com", false, true, false},
		{"the host that was accepted", "https://id.example.com", false, false, false},
	} {
		seen := check(newBench(t, c.issuer), c.accept)
		if (seen != nil) != c.fails {
			t.Errorf("%s: expected a failure to be %v, seen %v", c.name, c.fails, seen)
		}
		if c.enrol {
			enrolPhone(t, b, "alice")
		}
	}
}

func TestPasskeysNeedANameOrAParentOfIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, issuer, id string
		fails            bool
		passkeys         bool
	}{
		{"a host", "https://login.example.com", "", false, true},
		{"localhost", "http://localhost:8080", "", false, true},
		{"an IP address has none", "http://127.0.0.1:8080", "", false, false},
		{"a parent domain", "https://login.example.com", "example.com", false, true},
		{"part of a name", "https://login.example.com", "ample.com", true, false},
		{"another domain", "https://login.example.com", "example.net", true, false},
		{"a child domain", "https://example.com", "login.example.com", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set, err := New(Options{Vault: fakeVault{}, Now: time.Now, Issuer: address(t, c.issuer), PasskeyRPID: c.id})
			if (err != nil) != c.fails {
				t.Fatalf("expected a failure to be %v, seen %v", c.fails, err)
			}
			if err != nil {
				return
			}
			want := []store.FactorKind{store.TOTP, store.HOTP}
			if c.passkeys {
				want = append(want, store.Passkey)
			}
			if seen := set.Available([]store.FactorKind{store.TOTP, store.HOTP, store.Passkey}); !slices.Equal(seen, want) {
				t.Errorf("expected the factors %q, seen %q", want, seen)
			}
		})
	}
}
