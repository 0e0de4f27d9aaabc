package session

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
)

// lockable is a memory storage with locks, as nodes share it.
type lockable struct {
	*memory
	mu      sync.Mutex
	held    map[string]chan struct{}
	refused error
}

func newLockable() *lockable {
	return &lockable{memory: newMemory(), held: make(map[string]chan struct{})}
}

func (l *lockable) Lock(ctx context.Context, name string) error {
	for {
		l.mu.Lock()
		held, refused := l.held[name], l.refused
		if held == nil && refused == nil {
			l.held[name] = make(chan struct{})
		}
		l.mu.Unlock()
		if held == nil || refused != nil {
			return refused
		}
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lockable) Unlock(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[name])
	delete(l.held, name)
	return nil
}

// renewing is a node, and the provider that it asks.
type renewing struct {
	*Renewer
	asked *provider
}

type provider struct {
	calls  atomic.Int64
	answer func(context.Context, Session) (Renewal, error)
}

func (p *provider) node(l *lockable, now func() time.Time) *renewing {
	return &renewing{NewRenewer(func() LockStorage { return l }, now), p}
}

// newState is the honest answer, after a second.
func newState(_ context.Context, old Session) (Renewal, error) {
	time.Sleep(time.Second)
	old.Grant.RefreshToken += "+"
	old.Grant.Issued = time.Now()
	return Renewal{Session: &old}, nil
}

func (n *renewing) renew(ctx context.Context, s *Session) (Renewal, error) {
	return n.Renew(ctx, Attempt{
		Session: *s, Provider: "op",
		Call: func(ctx context.Context, s Session) (Renewal, error) {
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

func granted() *Session {
	s := living()
	s.SignedIn = time.UnixMilli(time.Now().UnixMilli())
	s.Grant = Grant{RefreshToken: "rt", Issued: s.SignedIn}
	return s
}

func TestOneCallForAllRequestsOnAllNodes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, p := newLockable(), &provider{answer: newState}
		var nodes []*renewing
		for i := range 3 {
			nodes = append(nodes, p.node(l, func() time.Time { return time.Now().Add(time.Duration(i-1) * 2 * time.Second) }))
		}
		s := granted()
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				got, err := nodes[i%3].renew(t.Context(), s)
				if err != nil || got.Session == nil || got.Session.Grant.RefreshToken != "rt+" {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		all.Wait()
		time.Sleep(50 * time.Second)
		for _, n := range append(nodes, p.node(l, time.Now)) { // one that was started just now, too
			if got, err := n.renew(t.Context(), s); err != nil || got.Session == nil || got.Session.ID != s.ID {
				t.Errorf("late: %+v, %v", got, err)
			}
		}
		if p.calls.Load() != 1 || len(l.held) != 0 {
			t.Errorf("%d calls, %d locks are held", p.calls.Load(), len(l.held))
		}
		// The newer state is renewed by a call of its own.
		newer, _ := nodes[0].renew(t.Context(), s)
		if got, err := nodes[1].renew(t.Context(), newer.Session); err != nil || got.Session.Grant.RefreshToken != "rt++" || p.calls.Load() != 2 {
			t.Errorf("%+v, %v, %d calls", got, err, p.calls.Load())
		}
		time.Sleep(5 * time.Minute)
		for _, n := range nodes {
			if err := n.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if left := l.keys(); len(left) != 0 {
			t.Errorf("%q are left", left)
		}
	})
}

func TestAnEndIsToldToOtherNodes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLockable()
		p := &provider{answer: func(context.Context, Session) (Renewal, error) { return Renewal{Ended: true}, nil }}
		s := granted()
		for range 3 {
			if got, err := p.node(l, time.Now).renew(t.Context(), s); err != nil || !got.Ended {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if p.calls.Load() != 1 {
			t.Errorf("%d calls", p.calls.Load())
		}
	})
}

func TestFailuresPauseAttempts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		outage := error(&Outage{Err: errors.New("down")})
		p := &provider{}
		p.answer = func(context.Context, Session) (Renewal, error) { return Renewal{}, outage }
		n := p.node(newLockable(), time.Now)
		var sessions []*Session
		for range 50 {
			sessions = append(sessions, granted())
		}
		for range 600 { // ten minutes of a request a second for each
			for _, s := range sessions {
				if _, err := n.renew(t.Context(), s); err == nil {
					t.Fatal("no error")
				}
			}
			time.Sleep(time.Second)
		}
		if got := p.calls.Load(); got > 60 {
			t.Errorf("%d calls in ten minutes", got)
		}
		p.answer = newState
		time.Sleep(longRenewPause)
		for _, s := range sessions {
			if got, err := n.renew(t.Context(), s); err != nil || got.Session == nil {
				t.Errorf("%+v, %v when it is over", got, err)
			}
		}
		// What is the matter with one session concerns no other one.
		p.answer = func(context.Context, Session) (Renewal, error) { return Renewal{}, errors.New("odd") }
		one, other := granted(), granted()
		if _, err := n.renew(t.Context(), one); err == nil || errors.Is(err, ErrPaused) {
			t.Errorf("%v", err)
		}
		p.answer = newState
		if _, err := n.renew(t.Context(), one); !errors.Is(err, ErrPaused) {
			t.Errorf("%v", err)
		}
		if _, err := n.renew(t.Context(), other); err != nil {
			t.Errorf("%v", err)
		}
		// The provider asks for more.
		outage = &Outage{Err: errors.New("busy"), After: 2 * time.Minute}
		p.answer = func(context.Context, Session) (Renewal, error) { return Renewal{}, outage }
		third := granted()
		_, _ = n.renew(t.Context(), third)
		p.answer = newState
		time.Sleep(119 * time.Second)
		if _, err := n.renew(t.Context(), third); !errors.Is(err, ErrPaused) {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := n.renew(t.Context(), third); err != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAttemptOutlivesWhoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := &provider{answer: newState}
		n, s := p.node(newLockable(), time.Now), granted()
		ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		if _, err := n.renew(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if got, err := n.renew(t.Context(), s); err != nil || got.Session == nil || p.calls.Load() != 1 {
			t.Errorf("%+v, %v, %d calls", got, err, p.calls.Load())
		}
	})
}

func TestStorageTroubleMakesNoCall(t *testing.T) {
	for name, trouble := range map[string]func(*lockable){
		"down":       func(l *lockable) { l.down = errors.New("down") },
		"no locks":   func(l *lockable) { l.refused = errors.New("no locks") },
		"lock taken": func(l *lockable) { l.held[renewalRoot+"/"+renewalName(ID{1})] = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				l, p := newLockable(), &provider{answer: newState}
				trouble(l)
				s := granted()
				s.ID = ID{1}
				if got, err := p.node(l, time.Now).renew(t.Context(), s); err == nil || got.Session != nil || p.calls.Load() != 0 {
					t.Errorf("%+v, %v, %d calls", got, err, p.calls.Load())
				}
			})
		})
	}
}

func TestARenewalThatCannotBeStoredServesHere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, p := newLockable(), &provider{answer: newState}
		l.readOnly = errors.New("full")
		n, s := p.node(l, time.Now), granted()
		for range 2 {
			if got, err := n.renew(t.Context(), s); err != nil || got.Session == nil || p.calls.Load() != 1 {
				t.Errorf("%+v, %v, %d calls", got, err, p.calls.Load())
			}
		}
	})
}

func TestWhatDoesNotOpenIsAbsent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, p := newLockable(), &provider{answer: newState}
		s, stranger := granted(), granted()
		strange := Renewal{Session: stranger, at: time.Now()}
		stranger.Grant.Issued = time.Now().Add(time.Hour)
		for _, content := range []string{"", "garbage", "sealed", "sealed\x01", "sealed\x02\x00", "sealed" + string(strange.encode())} {
			l.files[renewalKey(time.Now().Unix()/60, renewalName(s.ID))] = []byte(content)
			if got, err := p.node(l, time.Now).renew(t.Context(), s); err != nil || got.Session == nil || got.Session.ID != s.ID {
				t.Errorf("%q: %+v, %v", content, got, err)
			}
		}
		if p.calls.Load() != 6 {
			t.Errorf("%d calls", p.calls.Load())
		}
	})
}

func TestRenewalsInMemoryAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := &provider{}
		n := p.node(newLockable(), time.Now)
		for i := range 3 * maxRenewals {
			s := Session{ID: ID{byte(i), byte(i >> 8), byte(i >> 16)}, Subject: fmt.Sprint(i)}
			n.remember(s.ID, Renewal{Session: &s, at: time.Now()})
		}
		if got := len(n.young) + len(n.old); got > maxRenewals {
			t.Errorf("%d are kept", got)
		}
		synctest.Wait()
	})
}

func TestSweepLeavesWhatIsYoungOrNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, p := newLockable(), &provider{answer: newState}
		n := p.node(l, time.Now)
		l.files[renewalRoot+"/0a.lock"] = nil
		l.files["oidc_rp/facts/1/x"] = nil
		if _, err := n.renew(t.Context(), granted()); err != nil {
			t.Fatal(err)
		}
		before := l.keys()
		if err := n.Sweep(t.Context()); err != nil || !slices.Equal(l.keys(), before) {
			t.Errorf("%q became %q, %v", before, l.keys(), err)
		}
		time.Sleep(3 * time.Minute)
		if err := n.Sweep(t.Context()); err != nil || len(l.keys()) != 2 {
			t.Errorf("%q are left, %v", l.keys(), err)
		}
	})
}
