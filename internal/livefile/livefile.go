// Package livefile keeps values that are computed from files up to date without
// a reload. Files are checked when their value is used, at most every two
// seconds. It compares their content, because modification times and symbolic
// links are not reliable.
package livefile

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how long a value is used before its files are checked again.
const Every = 2 * time.Second

// Read returns the content of a file.
type Read func(name string) ([]byte, error)

// Event is a change to the files of a value, or a problem with them, for the
// operator.
type Event struct {
	Kind Kind
	// Files are the names of the files concerned.
	Files []string
	// Err is the error about the new content, if Kind is Broken.
	Err error
}

// Kind is the kind of an Event.
type Kind int

// The kinds of events.
const (
	// Changed means that the content has changed and is now in use.
	Changed Kind = iota
	// Broken means that the content has changed and cannot be used. The previous
	// value stays in use.
	Broken
	// Writable means that every user of the system can write to the file.
	Writable
)

// Value is computed from files, and again when they change. It is safe for
// concurrent use.
type Value[T any] struct {
	limit  int // maximum size of a file, in bytes
	make   func(Read) (T, error)
	now    func() time.Time
	notify func(Event)
	fixed  bool // it does not depend on files

	current atomic.Pointer[T]
	looked  atomic.Int64 // time of the last check, in Unix nanoseconds

	mu     sync.Mutex // held during a check; guards the following
	seen   map[string]content
	warned map[string]bool
}

// content is the hash of a file's content, or of the error from reading it.
type content [sha256.Size]byte

// New returns a value that make computes from the files that it reads with the
// given Read. make is called again whenever one of these files has changed,
// including files that did not exist. If notify is not nil, it is called with
// each event. Files may have at most MaxSize bytes.
func New[T any](now func() time.Time, notify func(Event), make func(Read) (T, error)) (*Value[T], error) {
	return NewLimited(MaxSize, now, notify, make)
}

// NewLimited is like New, for files of at most limit bytes each.
func NewLimited[T any](limit int, now func() time.Time, notify func(Event), make func(Read) (T, error)) (*Value[T], error) {
	v := &Value[T]{limit: limit, make: make, now: now, notify: notify, warned: map[string]bool{}}
	r := newReader(nil, limit)
	value, err := make(r.read)
	if err != nil {
		return nil, err
	}
	v.seen, v.fixed = r.seen, len(r.seen) == 0
	v.warn(r)
	v.current.Store(&value)
	v.looked.Store(now().UnixNano())
	return v, nil
}

// Get returns the value. If the files cannot be used, it returns the last good
// value. Only one caller at a time checks the files; the others do not wait for
// it.
func (v *Value[T]) Get() T {
	if !v.fixed && v.due() && v.mu.TryLock() {
		if v.due() {
			v.look()
			v.looked.Store(v.now().UnixNano())
		}
		v.mu.Unlock()
	}
	return *v.current.Load()
}

func (v *Value[T]) due() bool {
	age := time.Duration(v.now().UnixNano() - v.looked.Load())
	return age >= Every || age < 0 // negative if the clock was set back
}

func (v *Value[T]) look() {
	r := newReader(nil, v.limit)
	for name := range v.seen {
		_, _ = r.read(name)
	}
	if maps.Equal(r.seen, v.seen) {
		return
	}
	var changed []string
	for name, sum := range r.seen {
		if v.seen[name] != sum {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	again := newReader(r, v.limit) // compute the value from exactly the content that was compared
	value, err := v.make(again.read)
	if err != nil {
		// Keep watching the files of the last good value, too.
		maps.Copy(r.seen, again.seen)
		v.remember(r.seen)
		v.tell(Event{Kind: Broken, Files: changed, Err: err})
		return
	}
	v.remember(again.seen)
	v.current.Store(&value)
	v.warn(again)
	v.tell(Event{Kind: Changed, Files: changed})
}

// remember sets the files to watch. It ignores an empty set, since the value
// could never change again.
func (v *Value[T]) remember(seen map[string]content) {
	if len(seen) > 0 {
		v.seen = seen
	}
}

func (v *Value[T]) warn(r *reader) {
	for _, name := range slices.Sorted(maps.Keys(r.loose)) {
		if !v.warned[name] {
			v.warned[name] = true
			v.tell(Event{Kind: Writable, Files: []string{name}})
		}
	}
}

func (v *Value[T]) tell(e Event) {
	if v.notify != nil {
		v.notify(e)
	}
}

// reader reads each file at most once and records the hash of its content.
type reader struct {
	before *reader // whose results are reused; may be nil
	limit  int
	texts  map[string][]byte
	errs   map[string]error
	seen   map[string]content
	loose  map[string]bool
}

func newReader(before *reader, limit int) *reader {
	return &reader{before, limit, map[string][]byte{}, map[string]error{}, map[string]content{}, map[string]bool{}}
}

func (r *reader) read(name string) ([]byte, error) {
	if _, known := r.seen[name]; known {
		return slices.Clone(r.texts[name]), r.errs[name]
	}
	var text []byte
	var loose bool
	var err error
	if sum, known := r.knownBefore(name); known {
		text, err, loose = r.before.texts[name], r.before.errs[name], r.before.loose[name]
		r.seen[name] = sum
	} else if text, loose, err = readUpTo(name, r.limit); err != nil {
		r.seen[name] = sha256.Sum256([]byte("cannot be read: " + err.Error()))
	} else {
		r.seen[name] = sha256.Sum256(append([]byte("holds: "), text...))
	}
	r.texts[name], r.errs[name] = text, err
	if loose {
		r.loose[name] = true
	}
	return slices.Clone(text), err
}

func (r *reader) knownBefore(name string) (sum content, known bool) {
	if r.before != nil {
		sum, known = r.before.seen[name]
	}
	return sum, known
}
