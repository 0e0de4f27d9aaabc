package provider

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const day = 24 * time.Hour

// TestKeysRotateByThemselves steps through a year, six hours at a time. An application that
// loads the keys once in three days knows every key that signs.
func TestKeysRotateByThemselves(t *testing.T) {
	t.Parallel()
	const every = 90 * day
	n := newNode(t)
	other := nodeOn(t, n.db, n.clock)
	known := n.published()
	signed := map[string]time.Duration{} // how long each key has signed
	rotations := 0
	for at := time.Duration(0); at < 365*day; at += 6 * time.Hour {
		for _, node := range []*node{n, other} {
			_, done, err := node.Keys.RotateDue(t.Context(), every)
			if err != nil {
				t.Fatal(err)
			}
			if done {
				rotations++
			}
		}
		if at%(3*day) == 0 {
			known = n.published()
		}
		kid, _, err := n.Keys.signer(t.Context(), rs256)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(known, kid) {
			t.Fatalf("expected after %v a key that applications know, seen a new one", at)
		}
		signed[kid] += 6 * time.Hour
		n.clock.add(6 * time.Hour)
	}
	if rotations != 4 {
		t.Errorf("expected two nodes to rotate four times in a year, seen %d", rotations)
	}
	for kid, age := range signed {
		if age > every {
			t.Errorf("expected a key to sign for at most %v, seen %v for %s", every, age, kid)
		}
	}
	if len(signed) != 5 {
		t.Errorf("expected five keys to have signed, seen %d", len(signed))
	}
}

// dueNode returns a node that has just published its next keys by schedule, and the key
// that still signs.
func dueNode(t *testing.T) (n *node, old string, rotation Rotation) {
	t.Helper()
	n = newNode(t)
	old = n.signs()
	n.clock.add(83 * day)
	rotation, done, err := n.Keys.RotateDue(t.Context(), 90*day)
	if err != nil || !done {
		t.Fatalf("expected a rotation a week before it is time, seen %v %v", done, err)
	}
	return n, old, rotation
}

// wantGone checks that a key is no longer published after publishedAfter.
func (n *node) wantGone(old string) {
	n.t.Helper()
	n.clock.add(publishedAfter)
	if got := n.published(); slices.Contains(got, old) {
		n.t.Errorf("expected the old key to be gone a day later, seen %v", got)
	}
}

// A key is published until the tokens that it signed have expired, and no longer.
func TestWhatAnOldKeySignedIsVerifiedUntilItExpires(t *testing.T) {
	t.Parallel()
	n, old, rotation := dueNode(t)
	if want := n.clock.Now().Add(7 * day); !rotation.Active.Equal(want) {
		t.Errorf("expected the new keys to sign at %v, seen %v", want, rotation.Active)
	}
	n.clock.add(7*day - time.Second)
	if got := n.signs(); got != old {
		t.Errorf("expected the old key to sign to the last second, seen %v", got)
	}
	n.clock.add(time.Second + idTokenLifetime + time.Minute)
	if got := n.signs(); got == old {
		t.Error("expected a new key to sign, seen the old one")
	}
	if got := n.published(); !slices.Contains(got, old) {
		t.Errorf("expected the old key to be published while what it signed is valid, seen %v", got)
	}
	n.wantGone(old)
	if err := n.Keys.RemoveRetired(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := n.Keys.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 {
		t.Errorf("expected the retired keys to be removed from the database, seen %d keys", len(rows))
	}
}

// An operator can bring a scheduled rotation forward, because a week is too long after a
// suspected leak.
func TestAnOperatorBringsARotationForward(t *testing.T) {
	t.Parallel()
	n, old, _ := dueNode(t)
	rotation, err := n.Keys.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(rotation.Keys) != 4 {
		t.Errorf("expected no further keys, seen %d", len(rotation.Keys))
	}
	n.clock.add(publishedBefore)
	if got := n.signs(); got == old {
		t.Error("expected the new key to sign after an hour, seen the old one")
	}
	n.wantGone(old)
}

func TestIsDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := func(alg string, age time.Duration) store.SigningKey {
		return store.SigningKey{Alg: alg, Active: now.Add(-age)}
	}
	for name, row := range map[string]struct {
		rows  []store.SigningKey
		every time.Duration
		want  bool
	}{
		"no keys, which are made when they are needed": {nil, 90 * day, false},
		"a young key":                          {[]store.SigningKey{key(rs256, 82*day)}, 90 * day, false},
		"a key that is due in a week":          {[]store.SigningKey{key(rs256, 83*day)}, 90 * day, true},
		"one algorithm alone":                  {[]store.SigningKey{key(rs256, day), key(es256, 83*day)}, 90 * day, true},
		"a successor that is published":        {[]store.SigningKey{key(rs256, 89*day), key(rs256, -day)}, 90 * day, false},
		"an interval too short for a week":     {[]store.SigningKey{key(rs256, 11*time.Hour)}, day, false},
		"half of an interval that is so short": {[]store.SigningKey{key(rs256, 12*time.Hour)}, day, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := isDue(row.rows, row.every, now); got != row.want {
				t.Errorf("expected %v, seen %v", row.want, got)
			}
		})
	}
}
