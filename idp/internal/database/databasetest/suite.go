package databasetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Run checks each sentence of the contract of package store. open returns an empty store.
func Run(t *testing.T, open func(testing.TB) store.Store) {
	for _, topic := range []struct {
		name  string
		tests map[string]func(*testing.T, *subject)
	}{
		{"users", userTests}, {"names", nameTests}, {"lists of users", listTests},
		{"groups", groupTests}, {"identities", identityTests}, {"access keys", accessKeyTests},
		{"factors", factorTests}, {"recovery codes", recoveryTests}, {"counters", counterTests},
		{"sessions", sessionTests}, {"requests", requestTests}, {"tickets", ticketTests},
		{"grants", grantTests}, {"access tokens", tokenTests}, {"signing keys", signingKeyTests},
		{"deliveries", deliveryTests}, {"settings", settingTests}, {"sweeping", sweepTests},
		{"transactions", transactionTests}, {"two at once", raceTests}, {"hostile text", textTests},
	} {
		t.Run(topic.name, func(t *testing.T) {
			t.Parallel()
			for name, test := range topic.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, &subject{t, open(t)})
				})
			}
		})
	}
}

// Start is the time at which the tests begin.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func after(d time.Duration) time.Time { return Start.Add(d) }

// subject is a store under test. An unexpected error ends the test.
type subject struct {
	t     *testing.T
	store store.Store
}

func (s *subject) update(f func(store.Tx) error) {
	s.t.Helper()
	if err := s.store.Update(s.t.Context(), f); err != nil {
		s.t.Fatalf("expected the change to be made, seen %v", err)
	}
}

func (s *subject) view(f func(store.Tx) error) {
	s.t.Helper()
	if err := s.store.View(s.t.Context(), f); err != nil {
		s.t.Fatalf("expected the store to be read, seen %v", err)
	}
}

// fails checks that a change fails with an error.
func (s *subject) fails(want error, f func(store.Tx) error) {
	s.t.Helper()
	if err := s.store.Update(s.t.Context(), f); !errors.Is(err, want) {
		s.t.Errorf("expected the error %q, seen %v", want, err)
	}
}

// person adds persons who have only a name.
func (s *subject) person(ids ...string) {
	s.t.Helper()
	s.update(func(x store.Tx) error {
		for _, id := range ids {
			if err := x.PutUser(&store.User{ID: id, Kind: store.Person, Name: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

// read returns the result of a method that reads.
func read[T any](s *subject, f func(store.Tx) (T, error)) (v T) {
	s.t.Helper()
	s.view(func(x store.Tx) (err error) {
		v, err = f(x)
		return err
	})
	return v
}

// taken returns the result of a method that makes a change.
func taken[T any](s *subject, f func(store.Tx) (T, error)) (v T) {
	s.t.Helper()
	s.update(func(x store.Tx) (err error) {
		v, err = f(x)
		return err
	})
	return v
}

// missing checks that a row is not found.
func missing[T any](s *subject, f func(store.Tx) (T, error)) {
	s.t.Helper()
	err := s.store.Update(s.t.Context(), func(x store.Tx) error {
		_, err := f(x)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		s.t.Errorf("expected %q, seen %v", store.ErrNotFound, err)
	}
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s: expected %+v, seen %+v", what, want, got)
	}
}

// complete fails if a field of a row is zero, so that tests cannot omit fields that are
// added later.
func complete(t testing.TB, row any, except ...string) {
	t.Helper()
	v := reflect.Indirect(reflect.ValueOf(row))
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && !slices.Contains(except, name) {
			t.Fatalf("the test leaves %s.%s empty", v.Type(), name)
		}
	}
}

// together makes n concurrent calls of f and returns how many succeeded. The others must
// fail with the expected error.
func together(ctx context.Context, t *testing.T, n int, expected error, f func(context.Context, int) error) (succeeded int) {
	t.Helper()
	results := make(chan error)
	ready := make(chan struct{})
	for i := range n {
		go func() {
			<-ready
			results <- f(ctx, i)
		}()
	}
	close(ready)
	for range n {
		switch err := <-results; {
		case err == nil:
			succeeded++
		case !errors.Is(err, expected):
			t.Errorf("expected %v, seen %v", expected, err)
		}
	}
	return succeeded
}
