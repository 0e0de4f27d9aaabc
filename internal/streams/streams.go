// Package streams ends responses of unlimited duration, such as WebSockets and
// event streams, when their users may no longer receive them.
//
// A Registry has the open streams, and checks every second whether each of them may
// continue. The caller, which knows sessions, rules and clocks, decides that, and how
// to end a stream that is not an HTTP response. Ordinary responses are not
// registered.
package streams

import (
	"context"
	"sync"
	"time"
)

// Verdict is whether a stream may continue.
type Verdict int

const (
	Allowed Verdict = iota
	// Over means that the stream has to end.
	Over
	// Unknown means that this cannot be determined now.
	Unknown
)

const (
	// checkEvery is how often each stream is checked.
	checkEvery = time.Second
	// checkWithin limits the time for checking all streams. The verdict of the
	// others is Unknown.
	checkWithin = 2 * time.Second
	// unknownFor is how long a stream continues while its verdict is Unknown.
	unknownFor = 10 * time.Second
	// workers is how many streams are checked concurrently, since stores may be
	// slow.
	workers = 8
)

// Registry holds the open streams of a process. The zero value is empty. It is safe
// for concurrent use.
type Registry struct {
	mu      sync.Mutex
	open    map[*Stream]struct{}
	running bool
}

// Shared is the registry of this process, for all configurations, since streams
// outlive the configuration under which they began.
var Shared Registry

// Stream is one open stream.
type Stream struct {
	registry *Registry
	check    func(context.Context) Verdict
	end      func()
	gone     func()
	unknown  time.Time // since when its verdict is Unknown; used by the registry
	once     sync.Once
}

// Add adds a stream. check reports whether it may continue. end ends it, and may
// block; it is called at most once, after which the stream is not checked any more.
// gone is called once when the stream is removed.
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

// Remove removes a stream that has ended by itself.
func (s *Stream) Remove() {
	s.registry.forget(s)
	s.once.Do(s.gone)
}

// Len returns the number of open streams.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// forget removes the stream, and reports whether it was in the registry.
func (r *Registry) forget(s *Stream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, there := r.open[s]
	delete(r.open, s)
	return there
}

// run checks the streams until there are none.
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
		r.running, r.open = false, nil // releases the map's memory
		return nil, false
	}
	all = make([]*Stream, 0, len(r.open))
	for s := range r.open {
		all = append(all, s)
	}
	return all, true
}

// judge checks every stream, and ends those that are over.
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
