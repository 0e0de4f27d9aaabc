package accounts

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func (h *harness) key(user *store.User, expires time.Time) (*store.AccessKey, string) {
	h.t.Helper()
	key, secret, err := h.AddKey(h.t.Context(), user.ID, expires)
	if err != nil {
		h.t.Fatal(err)
	}
	return key, secret
}

func TestAnAccessKeyIsThatOfItsApplication(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	robot := h.create(NewUser{Name: "robot", Kind: store.Application, Groups: []string{"ci"}})
	key, secret := h.key(robot, time.Time{})
	if !strings.HasPrefix(secret, "orp_robot_") {
		t.Errorf("expected a key that names its application, seen %s", secret)
	}
	user, found, err := h.AccessKey(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if user.ID != robot.ID || found.ID != key.ID || user.Groups[0] != "ci" {
		t.Errorf("expected the application and its groups, seen %+v and %+v", user, found)
	}
	for name, text := range map[string]string{
		"nothing": "", "another key": "orp_robot_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_c9a1a28c", "a key that is cut": secret[:len(secret)-1], "more": secret + "x",
	} {
		_, _, err := h.AccessKey(t.Context(), text)
		h.wantError(name, err, store.ErrNotFound)
	}
}

func TestTheEndsOfAccessKeys(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*harness, *store.User, *store.AccessKey) error{
		"removed": func(h *harness, robot *store.User, key *store.AccessKey) error {
			return h.RemoveKey(h.t.Context(), robot.ID, key.ID)
		},
		"of an application that is locked": func(h *harness, robot *store.User, _ *store.AccessKey) error {
			_, err := h.Lock(h.t.Context(), robot.ID)
			return err
		},
		"of an application that is removed": func(h *harness, robot *store.User, _ *store.AccessKey) error {
			_, err := h.Remove(h.t.Context(), robot.ID, false)
			return err
		},
		"expired": func(h *harness, _ *store.User, _ *store.AccessKey) error {
			h.clock.add(90*24*time.Hour - time.Millisecond)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			robot := h.create(NewUser{Name: "robot", Kind: store.Application})
			key, secret := h.key(robot, h.clock.Now().Add(90*24*time.Hour))
			if name != "expired" {
				if _, _, err := h.AccessKey(t.Context(), secret); err != nil {
					t.Fatalf("before: expected no error, seen %v", err)
				}
			}
			if err := end(h, robot, key); err != nil {
				t.Fatal(err)
			}
			if name == "expired" {
				if _, _, err := h.AccessKey(t.Context(), secret); err != nil {
					t.Errorf("a moment before the end: expected no error, seen %v", err)
				}
				h.clock.add(time.Millisecond)
			}
			_, _, err := h.AccessKey(t.Context(), secret)
			h.wantError("after", err, store.ErrNotFound)
		})
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna"})
	robot := h.create(NewUser{Name: "robot", Kind: store.Application})
	var invalid *InvalidError
	if _, _, err := h.AddKey(t.Context(), anna.ID, time.Time{}); !errors.As(err, &invalid) {
		t.Errorf("of a person: expected an error, seen %v", err)
	}
	if _, _, err := h.AddKey(t.Context(), robot.ID, h.clock.Now()); !errors.As(err, &invalid) {
		t.Errorf("that ends now: expected an error, seen %v", err)
	}
	for range maxKeys {
		h.key(robot, time.Time{})
	}
	if _, _, err := h.AddKey(t.Context(), robot.ID, time.Time{}); !errors.As(err, &invalid) {
		t.Errorf("one too many: expected an error, seen %v", err)
	}
	h.wantError("no key", h.RemoveKey(t.Context(), robot.ID, "none"), store.ErrNotFound)
	_, _, err := h.AddKey(t.Context(), "unknown", time.Time{})
	h.wantError("no user", err, store.ErrNotFound)
}

func TestTheLastUseIsNotedToTheMinute(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	robot := h.create(NewUser{Name: "robot", Kind: store.Application})
	_, secret := h.key(robot, time.Time{})
	used := func() time.Time {
		if _, _, err := h.AccessKey(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		details, err := h.DetailsOf(t.Context(), robot.ID)
		if err != nil {
			t.Fatal(err)
		}
		return details.AccessKeys[0].LastUsed.UTC()
	}
	first := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC) // the clock is five seconds ahead
	if at := used(); !at.Equal(first) {
		t.Errorf("expected %s, seen %s", first, at)
	}
	h.clock.add(54 * time.Second)
	if at := used(); !at.Equal(first) {
		t.Errorf("in the same minute: expected %s, seen %s", first, at)
	}
	h.clock.add(time.Second)
	if at := used(); !at.Equal(first.Add(time.Minute)) {
		t.Errorf("in the next minute: expected %s, seen %s", first.Add(time.Minute), at)
	}
}
