package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// node is a node with its provider.
type node struct {
	*Coordinator
	asked *provider
}

type provider struct {
	calls  atomic.Int64
	answer func(context.Context, session.Session) (Result, error)
}

func (p *provider) node(l *clustertest.Locked, now func() time.Time) *node {
	return &node{NewCoordinator(func() clusterstore.Storage { return l }, now), p}
}

// newState is an honest response, after one second.
func newState(_ context.Context, old session.Session) (Result, error) {
	time.Sleep(time.Second)
	old.Grant.RefreshToken += "+"
	old.Grant.Issued = time.Now()
	return Result{Session: &old}, nil
}

func (n *node) do(ctx context.Context, s *session.Session) (Result, error) {
	return n.Do(ctx, Attempt{
		Session: *s, Provider: "op",
		Call: func(ctx context.Context, s session.Session) (Result, error) {
			n.asked.calls.Add(1)
			return n.asked.answer(ctx, s)
		},
		Seal: func(_ context.Context, plain []byte) (string, error) { return "sealed" + string(plain), nil },
		Open: func(_ context.Context, sealed string) ([]byte, error) {
			plain, ok := strings.CutPrefix(sealed, "sealed")
			if !ok {
				return nil, errors.New("does not open")
			}
			return []byte(plain), nil
		},
		Lost: func(error) {},
	})
}

// wantSession checks that a node returns a newer state of the session.
func wantSession(t *testing.T, when string, n *node, of *session.Session) *session.Session {
	t.Helper()
	got, err := n.do(t.Context(), of)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if got.Session == nil {
		t.Fatalf("%s: expected a session, seen none", when)
	}
	if got.Session.ID != of.ID {
		t.Errorf("%s: expected the session %x, seen %x", when, of.ID, got.Session.ID)
	}
	return got.Session
}

// wantCalls checks how often the provider was called.
func wantCalls(t *testing.T, p *provider, want int64) {
	t.Helper()
	if got := p.calls.Load(); got != want {
		t.Errorf("expected %d calls, seen %d", want, got)
	}
}

func granted() *session.Session {
	now := time.UnixMilli(time.Now().UnixMilli())
	return &session.Session{
		ID: session.NewID(), Subject: "ada", SID: "op-session", SignedIn: now, Expires: now.Add(12 * time.Hour),
		Grant: session.Grant{RefreshToken: "rt", Issued: now},
	}
}

func TestOneCallForAllRequestsOnAllNodes(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l, p := clustertest.NewLocked(), &provider{answer: newState}
		var nodes []*node
		for i := range 3 {
			nodes = append(nodes, p.node(l, func() time.Time { return time.Now().Add(time.Duration(i-1) * 2 * time.Second) }))
		}
		s := granted()
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				got, err := nodes[i%3].do(t.Context(), s)
				switch {
				case err != nil:
					t.Errorf("request %d: %v", i, err)
				case got.Session == nil:
					t.Errorf("request %d: expected a session, seen none", i)
				case got.Session.Grant.RefreshToken != "rt+":
					t.Errorf("request %d: expected the refresh token rt+, seen %q", i, got.Session.Grant.RefreshToken)
				}
			})
		}
		all.Wait()
		time.Sleep(50 * time.Second)
		for _, n := range append(nodes, p.node(l, time.Now)) { // also one that has just started
			wantSession(t, "late", n, s)
		}
		wantCalls(t, p, 1)
		if len(l.Held) != 0 {
			t.Errorf("expected no lock to be held, seen %d", len(l.Held))
		}
		// The newer state is refreshed by another call.
		newer, _ := nodes[0].do(t.Context(), s)
		if got := wantSession(t, "the newer state", nodes[1], newer.Session); got.Grant.RefreshToken != "rt++" {
			t.Errorf("expected the refresh token rt++, seen %q", got.Grant.RefreshToken)
		}
		wantCalls(t, p, 2)
		time.Sleep(5 * time.Minute)
		for _, n := range nodes {
			if err := n.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if left := l.Keys(); len(left) != 0 {
			t.Errorf("%q are left", left)
		}
	})
}

func TestAnEndIsToldToOtherNodes(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := clustertest.NewLocked()
		p := &provider{answer: func(context.Context, session.Session) (Result, error) { return Result{Ended: true}, nil }}
		s := granted()
		for range 3 {
			if got, err := p.node(l, time.Now).do(t.Context(), s); err != nil || !got.Ended {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if p.calls.Load() != 1 {
			t.Errorf("%d calls", p.calls.Load())
		}
	})
}

func TestFailuresDelayAttempts(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		outage := error(&OutageError{Err: errors.New("down")})
		p := &provider{}
		p.answer = func(context.Context, session.Session) (Result, error) { return Result{}, outage }
		n := p.node(clustertest.NewLocked(), time.Now)
		var sessions []*session.Session
		for range 50 {
			sessions = append(sessions, granted())
		}
		for range 600 { // one request a second for each session, for ten minutes
			for _, s := range sessions {
				if _, err := n.do(t.Context(), s); err == nil {
					t.Fatal("no error")
				}
			}
			time.Sleep(time.Second)
		}
		if got := p.calls.Load(); got > 60 {
			t.Errorf("%d calls in ten minutes", got)
		}
		p.answer = newState
		time.Sleep(longWait)
		for _, s := range sessions {
			wantSession(t, "when it is over", n, s)
		}
		// A failure of one session does not affect other sessions.
		p.answer = func(context.Context, session.Session) (Result, error) { return Result{}, errors.New("odd") }
		one, other := granted(), granted()
		_, err := n.do(t.Context(), one)
		if err == nil {
			t.Error("expected an error, seen none")
		}
		if errors.Is(err, ErrBackoff) {
			t.Errorf("expected an error of the first call, seen %v", err)
		}
		p.answer = newState
		if _, err := n.do(t.Context(), one); !errors.Is(err, ErrBackoff) {
			t.Errorf("%v", err)
		}
		if _, err := n.do(t.Context(), other); err != nil {
			t.Errorf("%v", err)
		}
		// The provider asks for a longer pause.
		outage = &OutageError{Err: errors.New("busy"), After: 2 * time.Minute}
		p.answer = func(context.Context, session.Session) (Result, error) { return Result{}, outage }
		third := granted()
		_, _ = n.do(t.Context(), third)
		p.answer = newState
		time.Sleep(119 * time.Second)
		if _, err := n.do(t.Context(), third); !errors.Is(err, ErrBackoff) {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := n.do(t.Context(), third); err != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAttemptOutlivesWhoWaits(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		p := &provider{answer: newState}
		n, s := p.node(clustertest.NewLocked(), time.Now), granted()
		ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		if _, err := n.do(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		wantSession(t, "afterwards", n, s)
		wantCalls(t, p, 1)
	})
}

func TestStorageTroubleMakesNoCall(t *testing.T) {
	for name, trouble := range map[string]func(*clustertest.Locked){
		"down":       func(l *clustertest.Locked) { l.Down = errors.New("down") },
		"no locks":   func(l *clustertest.Locked) { l.Refused = errors.New("no locks") },
		"lock taken": func(l *clustertest.Locked) { l.Held[root+"/"+fileName(session.ID{1})] = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			clustertest.InBubble(t, func(t *testing.T) {
				l, p := clustertest.NewLocked(), &provider{answer: newState}
				trouble(l)
				s := granted()
				s.ID = session.ID{1}
				got, err := p.node(l, time.Now).do(t.Context(), s)
				if err == nil {
					t.Error("expected an error, seen none")
				}
				if got.Session != nil {
					t.Errorf("expected no session, seen %+v", got.Session)
				}
				wantCalls(t, p, 0)
			})
		})
	}
}

func TestAResultThatCannotBeStoredServesHere(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l, p := clustertest.NewLocked(), &provider{answer: newState}
		l.ReadOnly = errors.New("full")
		n, s := p.node(l, time.Now), granted()
		for range 2 {
			wantSession(t, "a result that cannot be stored", n, s)
			wantCalls(t, p, 1)
		}
	})
}

func TestWhatDoesNotOpenIsAbsent(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l, p := clustertest.NewLocked(), &provider{answer: newState}
		s, stranger := granted(), granted()
		strange := Result{Session: stranger, at: time.Now()}
		stranger.Grant.Issued = time.Now().Add(time.Hour)
		for _, content := range []string{"", "garbage", "sealed", "sealed\x01", "sealed\x02\x00", "sealed" + string(strange.encode())} {
			l.Files[fileKey(time.Now().Unix()/60, fileName(s.ID))] = []byte(content)
			wantSession(t, fmt.Sprintf("%q", content), p.node(l, time.Now), s)
		}
		if p.calls.Load() != 6 {
			t.Errorf("%d calls", p.calls.Load())
		}
	})
}

func TestResultsInMemoryAreBounded(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		p := &provider{}
		n := p.node(clustertest.NewLocked(), time.Now)
		for i := range 3 * maxResults {
			s := session.Session{ID: session.ID{byte(i), byte(i >> 8), byte(i >> 16)}, Subject: fmt.Sprint(i)}
			n.remember(s.ID, Result{Session: &s, at: time.Now()})
		}
		if got := n.results.Len(); got > maxResults {
			t.Errorf("%d are kept", got)
		}
		synctest.Wait()
	})
}

// Tokens do not stay in memory if no other refresh follows.
func TestASweepForgetsResultsThatAreOver(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		n := (&provider{answer: newState}).node(clustertest.NewLocked(), time.Now)
		for range 2 {
			if _, err := n.do(t.Context(), granted()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(resultKept / 2)
		}
		for _, left := range []int{1, 0} {
			time.Sleep(2 * time.Second)
			if err := n.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if got := n.results.Len(); got != left {
				t.Errorf("expected %d results in memory, seen %d", left, got)
			}
			time.Sleep(resultKept / 2)
		}
	})
}

func TestSweepLeavesWhatIsYoungOrNotOurs(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l, p := clustertest.NewLocked(), &provider{answer: newState}
		n := p.node(l, time.Now)
		l.Files[root+"/0a.lock"] = nil
		l.Files["oidc_rp/facts/1/x"] = nil
		if _, err := n.do(t.Context(), granted()); err != nil {
			t.Fatal(err)
		}
		before := l.Keys()
		if err := n.Sweep(t.Context()); err != nil {
			t.Errorf("an early sweep: %v", err)
		}
		if left := l.Keys(); !slices.Equal(left, before) {
			t.Errorf("an early sweep: expected %q to stay, seen %q", before, left)
		}
		time.Sleep(3 * time.Minute)
		if err := n.Sweep(t.Context()); err != nil {
			t.Errorf("a later sweep: %v", err)
		}
		if left := l.Keys(); len(left) != 2 {
			t.Errorf("a later sweep: expected two files to stay, seen %q", left)
		}
	})
}
