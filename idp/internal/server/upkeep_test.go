package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Signing keys rotate by schedule, without a command or a request, and the log says so.
func TestSigningKeysRotateOnSchedule(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(o *Options) { o.RotateKeys = 90 * 24 * time.Hour })
	n.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, issuer+"/jwks", nil)) // creates the first keys
	n.keepUp(t.Context())
	if strings.Contains(n.log.String(), "signing_keys_rotated") {
		t.Errorf("expected young keys to stay, seen %s", n.log.String())
	}
	n.clock.pass(84 * 24 * time.Hour)
	n.keepUp(t.Context())
	if got := strings.Count(n.log.String(), `"event":"signing_keys_rotated","via":"schedule"`); got != 1 {
		t.Errorf("expected one rotation in the log, seen %d in %s", got, n.log.String())
	}
}

// With rotate_keys off, only an operator rotates the keys.
func TestSigningKeysStayWithoutASchedule(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(o *Options) { o.RotateKeys = -1 })
	n.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, issuer+"/jwks", nil))
	n.clock.pass(400 * 24 * time.Hour)
	n.keepUp(t.Context())
	if strings.Contains(n.log.String(), "signing_keys_rotated") {
		t.Errorf("expected no rotation, seen %s", n.log.String())
	}
	rotation, err := n.Keys.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		time time.Time
		keys int
	}{{rotation.Retired.Add(-time.Second), 4}, {rotation.Retired, 2}} {
		n.clock.pass(at.time.Sub(n.clock.Now()))
		n.keepUp(t.Context())
		if seen := n.countSigningKeys(); seen != at.keys {
			t.Errorf("at %v, with old keys until %v: expected %d in the database, seen %d", at.time, rotation.Retired, at.keys, seen)
		}
	}
}

func (n *node) countSigningKeys() (count int) {
	n.t.Helper()
	err := n.Store.View(n.t.Context(), func(tx store.Tx) error {
		keys, err := tx.SigningKeys()
		count = len(keys)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return count
}
