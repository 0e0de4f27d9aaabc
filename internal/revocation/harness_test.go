package revocation

import (
	"path"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const issuer = "https://issuer.example"

var moment0 = time.UnixMilli(1_790_000_000_123)

// wholeSession returns a session that began at moment0.
func wholeSession() session.Session {
	return session.Session{
		ID: session.ID{1, 2, 3, 15: 0xff}, Binding: session.Bind(issuer, "client"), Provider: "corp",
		SignedIn: moment0, Expires: time.Unix(moment0.Unix()+43200, 0), Seen: time.Unix(moment0.Unix(), 0),
		Subject: "248289761001", Username: "ada@corp.example", SID: "08a5019c-17e1",
	}
}

var errDown = clustertest.ErrDown

// memory is a storage in memory, with helpers for tests of several nodes.
type memory struct{ *clustertest.Memory }

// unlocked is a storage whose locks every caller gets immediately.
type unlocked = clustertest.Unlocked

func newMemory() *memory { return &memory{clustertest.NewMemory()} }

func (m *memory) folders() (minutes []string) {
	for _, key := range m.Keys() {
		minutes = append(minutes, path.Dir(key))
	}
	return slices.Compact(minutes)
}

func (m *memory) node(now func() time.Time) *Log {
	return NewLog(func() clusterstore.Storage { return unlocked{Memory: m.Memory} }, now)
}

// living returns a session that begins now.
func living() *session.Session {
	return &session.Session{ID: session.NewID(), Subject: "ada", SID: "op-session", SignedIn: time.Now(), Expires: time.Now().Add(12 * time.Hour)}
}

// endedNow returns the event of a session's local logout.
func endedNow(s *session.Session) Event {
	return ForSession(s.ID, time.Now(), s.Expires.Add(10*time.Minute))
}

func end(t *testing.T, j *Log, events ...Event) {
	t.Helper()
	if err := j.Add(t.Context(), events...); err != nil {
		t.Fatalf("End: %v", err)
	}
}

func poll(t *testing.T, nodes ...*Log) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Poll(t.Context()); err != nil {
			t.Fatalf("Poll: %v", err)
		}
	}
}

func sweep(t *testing.T, nodes ...*Log) {
	t.Helper()
	for _, j := range nodes {
		if err := j.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
	}
}

// knows returns how many of the sessions have ended, as far as a node knows.
func knows(j *Log, sessions ...*session.Session) (ended int) {
	for _, s := range sessions {
		if j.RevokedSession(s, issuer) {
			ended++
		}
	}
	return ended
}

// wantEnded checks that a node already knows that the sessions have ended.
func wantEnded(t *testing.T, what string, j *Log, sessions ...*session.Session) {
	t.Helper()
	if got := knows(j, sessions...); got != len(sessions) {
		t.Errorf("%s: expected %d ended sessions, seen %d", what, len(sessions), got)
	}
}
