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

// Run checks each sentence of the contract of package store. Open returns a
// store that is empty.
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

// Start is a moment that the tests begin at.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func after(d time.Duration) time.Time { return Start.Add(d) }

// subject is a store under test. A method that is not expected to fail ends the
// test if it does.
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

// fails makes a change that has to end with an error.
func (s *subject) fails(want error, f func(store.Tx) error) {
	s.t.Helper()
	if err := s.store.Update(s.t.Context(), f); !errors.Is(err, want) {
		s.t.Errorf("expected the error %q, seen %v", want, err)
	}
}

// person makes persons without anything but a name.
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

// read returns what a method of a transaction returns.
func read[T any](s *subject, f func(store.Tx) (T, error)) (v T) {
	s.t.Helper()
	s.view(func(x store.Tx) (err error) {
		v, err = f(x)
		return err
	})
	return v
}

// taken returns what a method that changes something returns.
func taken[T any](s *subject, f func(store.Tx) (T, error)) (v T) {
	s.t.Helper()
	s.update(func(x store.Tx) (err error) {
		v, err = f(x)
		return err
	})
	return v
}

// missing expects that a row is not found.
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

// complete fails if a field of a row is zero, so that a field that is added
// later is part of the tests.
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

// together calls f n times at once and returns how many calls succeeded. Others
// have to fail with the error that is expected.
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
