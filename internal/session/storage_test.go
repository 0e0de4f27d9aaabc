package session

import (
	"path"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

var errDown = clustertest.ErrDown

// memory is a storage in memory, with what tests of several nodes do with it.
type memory struct{ *clustertest.Memory }

// unlocked is its locks: anybody gets them at any time.
type unlocked = clustertest.Unlocked

func newMemory() *memory { return &memory{clustertest.NewMemory()} }

func (m *memory) folders() (minutes []string) {
	for _, key := range m.Keys() {
		minutes = append(minutes, path.Dir(key))
	}
	return slices.Compact(minutes)
}

func (m *memory) node(now func() time.Time) *Journal {
	return NewJournal(func() clusterstore.Storage { return unlocked{Memory: m.Memory} }, now)
}

// living is a session that begins now.
func living() *Session {
	return &Session{ID: NewID(), Subject: "ada", SID: "op-session", SignedIn: time.Now(), Expires: time.Now().Add(12 * time.Hour)}
}

// ended is the fact of its local logout.
func (s *Session) endedNow() Fact {
	return EndedSession(s.ID, time.Now(), s.Expires.Add(10*time.Minute))
}

func end(t *testing.T, j *Journal, facts ...Fact) {
	t.Helper()
	if err := j.End(t.Context(), facts...); err != nil {
		t.Fatalf("End: %v", err)
	}
}

func poll(t *testing.T, nodes ...*Journal) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Poll(t.Context()); err != nil {
			t.Fatalf("Poll: %v", err)
		}
	}
}

func sweep(t *testing.T, nodes ...*Journal) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
	}
}

// knows says which of the sessions a node knows to have ended.
func knows(j *Journal, sessions ...*Session) (ended int) {
	for _, s := range sessions {
		if j.Ended(s, issuer) {
			ended++
		}
	}
	return ended
}
