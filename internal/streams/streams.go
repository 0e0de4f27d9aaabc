// Package streams ends responses that go on for as long as they like, such as
// WebSockets and event streams, when the users whom they are for must not have them
// any more.
//
// A Registry holds the streams that are open, and asks each of them every second
// whether it may go on. The answer is up to the caller, who knows sessions, rules and
// clocks; so is, for what is no HTTP response, how a stream is ended. Ordinary
// responses never get here.
package streams

import (
	"context"
	"sync"
	"time"
)

// Verdict is whether a stream may go on.
type Verdict int

const (
	Allowed Verdict = iota
	// Over: the user must not have it any more.
	Over
	// Unknown: that cannot be found out now.
	Unknown
)

const (
	// checkEvery is how often each stream is judged.
	checkEvery = time.Second
	// checkWithin bounds how long it takes to judge all of them. What is not known
	// then is unknown.
	checkWithin = 2 * time.Second
	// unknownFor is for how long a stream goes on while it is unknown whether it may.
	unknownFor = 10 * time.Second
	// workers is how many streams are judged at once: a store may take its time.
	workers = 8
)

// Registry holds the open streams of a process. The zero value is empty. It is safe
// for concurrent use.
type Registry struct {
	mu      sync.Mutex
	open    map[*Stream]struct{}
	running bool
}

// Shared is the registry of this process: one for all configurations, since streams
// outlive the configuration under which they began.
var Shared Registry

// Stream is one open stream.
type Stream struct {
	registry *Registry
	check    func(context.Context) Verdict
	end      func()
	gone     func()
	unknown  time.Time // since when it is unknown whether it may go on; only for the registry
	once     sync.Once
}

// Add adds a stream. check reports whether it may go on. end ends it, and may wait for
// that; it is called once at most, after which the stream is judged no more. gone is
// called once when the stream is removed.
func (r *Registry) Add(check func(context.Context) Verdict, end, gone func()) *Stream {
	s := &Stream{registry: r, check: check, end: end, gone: gone}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[*Stream]struct{})
	}
	r.open[s] = struct{}{}
	if !r.running {
		r.running = true
		go r.run()
	}
	return s
}

// Remove forgets a stream that has ended by itself.
func (s *Stream) Remove() {
	s.registry.forget(s)
	s.once.Do(s.gone)
}

// Len returns how many streams are open.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// forget reports whether the stream was in the registry.
func (r *Registry) forget(s *Stream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, there := r.open[s]
	delete(r.open, s)
	return there
}

// run judges the streams until there are none.
func (r *Registry) run() {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for range ticker.C {
		all, ok := r.all()
		if !ok {
			return
		}
		r.judge(all)
	}
}

// all returns the streams. If there are none, the registry stops running.
func (r *Registry) all() (all []*Stream, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) == 0 {
		r.running, r.open = false, nil // a map keeps its size
		return nil, false
	}
	all = make([]*Stream, 0, len(r.open))
	for s := range r.open {
		all = append(all, s)
	}
	return all, true
}

// judge asks every stream, and ends those that are over.
func (r *Registry) judge(all []*Stream) {
	ctx, cancel := context.WithTimeout(context.Background(), checkWithin)
	defer cancel()
	next := make(chan *Stream)
	var group sync.WaitGroup
	for range min(workers, len(all)) {
		group.Go(func() {
			for s := range next {
				s.judge(ctx)
			}
		})
	}
	for _, s := range all {
		next <- s
	}
	close(next)
	group.Wait()
}

func (s *Stream) judge(ctx context.Context) {
	verdict := Unknown
	if ctx.Err() == nil {
		verdict = s.check(ctx)
	}
	switch {
	case verdict == Allowed:
		s.unknown = time.Time{}
		return
	case verdict == Over:
	case s.unknown.IsZero():
		s.unknown = time.Now()
		return
	case time.Since(s.unknown) < unknownFor:
		return
	}
	if s.registry.forget(s) {
		go s.end()
	}
}
