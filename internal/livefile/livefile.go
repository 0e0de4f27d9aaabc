// Package livefile keeps values that are made of files up to date without a
// reload. Files are looked at when their value is used, at most every few
// seconds; what counts is their content, since modification times and symbolic
// links can say anything.
package livefile

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how long a value is used before its files are looked at again.
const Every = 2 * time.Second

// Read returns what a file holds.
type Read func(name string) ([]byte, error)

// Event is something that an operator wants to know of the files of a value.
type Event struct {
	Kind Kind
	// Files are those that it is about.
	Files []string
	// Err is what is wrong with the new content.
	Err error
}

// Kind is what an Event says.
type Kind int

// The kinds.
const (
	// Changed: the content changed, and the new one is in use.
	Changed Kind = iota
	// Broken: the content changed and cannot be used, so the last good one stays.
	Broken
	// Writable: users other than the owner and the group can write to the file.
	Writable
)

// Value is made of files, and made again when they change. It is safe for
// concurrent use.
type Value[T any] struct {
	limit  int // of a file's size
	make   func(Read) (T, error)
	now    func() time.Time
	notify func(Event)
	fixed  bool // it is made of no file

	current atomic.Pointer[T]
	looked  atomic.Int64 // when, in Unix nanoseconds

	mu     sync.Mutex // of one look at a time, which owns these:
	seen   map[string]content
	warned map[string]bool
}

// content is what is remembered of a file.
type content [sha256.Size]byte

// New makes a value of files. The function reads them with what it is given,
// and does so again each time that one of them has changed; a file that it found
// missing is one of them. If notify is not nil, it is called with what happens.
func New[T any](now func() time.Time, notify func(Event), make func(Read) (T, error)) (*Value[T], error) {
	return NewLimited(MaxSize, now, notify, make)
}

// NewLimited is New for files of at most limit bytes each.
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

// Get returns the value. It never fails: while the files cannot be used it is the
// last good one. Only one caller at a time looks at the files; the others go on.
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
	return age >= Every || age < 0 // the clock was set back
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
	again := newReader(r, v.limit) // what it is made of is what was compared
	value, err := v.make(again.read)
	if err != nil {
		// The good files of before stay under observation.
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

// remember keeps at least one file: a value that was made of files stays one.
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

// reader reads each file once, and notes what it held.
type reader struct {
	before *reader // has read some already
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
