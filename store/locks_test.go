package store

import (
	"context"
	"testing"
)

func TestLocksForgetNames(t *testing.T) {
	t.Parallel()
	var l Locks
	ctx, cancel := context.WithCancel(t.Context())
	unlock, err := l.Lock(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	gaveUp := make(chan error)
	go func() { _, err := l.Lock(ctx, "a"); gaveUp <- err }()
	cancel()
	if err := <-gaveUp; err == nil {
		t.Error("a lock that is held was given away")
	}
	if len(l.turns) != 1 {
		t.Errorf("%d names are known while one is locked", len(l.turns))
	}
	unlock()
	unlock()
	if len(l.turns) != 0 {
		t.Errorf("%d names are known when none is locked", len(l.turns))
	}
}
