package revocation

import (
	"strconv"
	"testing"
	"time"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	var r Replay
	now := time.Now()
	until := now.Add(time.Minute)
	take := func(issuer, id string, at time.Time) bool {
		_, ok := r.Take(issuer, id, at, until)
		return ok
	}
	if !take("a", "1", now) {
		t.Error("a token: expected it to be taken, seen that it is refused")
	}
	if take("a", "1", now) {
		t.Error("a token again: expected it to be refused, seen that it is taken")
	}
	if take("a", "1", until.Add(-1)) {
		t.Error("a token again, just before it is over: expected it to be refused, seen that it is taken")
	}
	if !take("b", "1", now) {
		t.Error("the same id of another issuer: expected it to be taken, seen that it is refused")
	}
	if !take("a", "2", now) {
		t.Error("another id: expected it to be taken, seen that it is refused")
	}
	if !take("a", "1", until) {
		t.Error("a token that is over: expected it to be taken, seen that it is refused")
	}
	forget, _ := r.Take("a", "3", now, until)
	if forget(); !take("a", "3", now) {
		t.Error("what did not count may come again")
	}
}

func TestReplayIsBounded(t *testing.T) {
	t.Parallel()
	var r Replay
	now := time.Now()
	for i := range 3 * maxReplay {
		if _, ok := r.Take("a", strconv.Itoa(i), now, now.Add(time.Hour)); !ok {
			t.Fatal("refused")
		}
	}
	if len(r.until) > maxReplay {
		t.Errorf("%d are remembered", len(r.until))
	}
	if last := strconv.Itoa(3*maxReplay - 1); func() bool { _, ok := r.Take("a", last, now, now.Add(time.Hour)); return ok }() {
		t.Error("the last one is forgotten")
	}
}
