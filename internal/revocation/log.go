package revocation

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

const (
	logRoot = "oidc_rp/facts"
	// settled is how long after its minute a folder may still be written to, by
	// nodes that are slow or whose clocks differ.
	settled = 5 * time.Minute
	// fullFile is the size from which a node begins another file.
	fullFile = 32 << 10
	// trusted is how long the latest look counts while the storage does not
	// respond: an outage must not undo a logout for ever.
	trusted = 5 * time.Minute
	// lookAgain is how long requests wait between looks that fail.
	lookAgain = time.Second
	// late is how long a Store may take before readers may have closed the folder
	// without its events.
	late = 2 * time.Minute
	// maxUnsent bounds the events that wait here for a storage that fails.
	maxUnsent = 10_000

	// How long callers wait for the storage.
	storeWithin   = 10 * time.Second
	readyWithin   = 5 * time.Second
	catchUpWithin = time.Second
	pollWithin    = 30 * time.Second
	sweepWithin   = 30 * time.Second
)

// ErrUnknown is returned when the events have not been read for so long that a
// session which ended could pass for a valid one.
var ErrUnknown = errors.New("the storage of logouts cannot be read")

var errTooSlow = errors.New("it answers too slowly")

// Log is the events of all nodes that share a storage. Each node appends to a
// file of its own in the folder of the minute, so that no node overwrites
// another's file and a reader looks only at what can still change. Older events
// move to packs, so that a look costs the same however long events are kept. It
// is safe for concurrent use, and no call waits for ever for a storage that
// hangs.
type Log struct {
	index
	storage func() clusterstore.Storage
	now     func() time.Time
	node    string

	writing chan struct{} // held by the one Store at a time; it guards:
	mine    file

	waiting sync.Mutex // guards pending
	pending []*write

	reading chan struct{} // held by the one look at a time; it guards:
	folders map[int64]*folder
	packs   map[string]*pack
	asked   time.Time
	err     error

	packing packing

	read atomic.Int64 // when the last complete look began by our clock, in milliseconds
	// Looks by number, since clocks can be set back: the last one begun, and the
	// last one completed.
	begun, done atomic.Int64
}

type write struct {
	events []Event
	done   chan error
}

// file is what this node has written in this minute.
type file struct {
	minute int64
	number int
	lines  []byte
	unsent []Event // what a failed Store left behind
}

// NewLog returns a log that has read nothing yet. It calls storage at each use,
// since the storage may change with the configuration.
func NewLog(storage func() clusterstore.Storage, now func() time.Time) *Log {
	var id [8]byte
	rand.Read(id[:]) // two processes on one storage may share everything else
	return &Log{
		storage: storage, now: now, node: hex.EncodeToString(id[:]),
		writing: make(chan struct{}, 1), reading: make(chan struct{}, 1),
		folders: make(map[int64]*folder), packs: make(map[string]*pack),
	}
}

// Add stores events and returns when they are stored. On this node they hold even
// if that fails. Calls at the same time share one write. Events that spare later
// sessions are dated after all events about the same on all nodes: a session
// which those spare has begun by now.
func (l *Log) Add(ctx context.Context, events ...Event) error {
	if slices.ContainsFunc(events, func(f Event) bool { return f.later }) {
		l.CatchUp(context.WithoutCancel(ctx))
	}
	events = l.addAfter(events)
	w := &write{events, make(chan error, 1)}
	l.waiting.Lock()
	l.pending = append(l.pending, w)
	l.waiting.Unlock()

	// The logout must be written even if the caller has gone.
	err := clusterstore.Hold(context.WithoutCancel(ctx), l.writing, storeWithin, l.flush)
	select {
	case err = <-w.done: // by our flush, or by the one that we waited for
		return err
	default:
		return fmt.Errorf("store the logout: %w", err)
	}
}

// flush stores all that is pending and reports errors to the waiting callers. The
// caller holds writing.
func (l *Log) flush(ctx context.Context) error {
	l.waiting.Lock()
	writes := l.pending
	l.pending = nil
	l.waiting.Unlock()
	events := l.mine.unsent
	for _, w := range writes {
		events = append(events, w.events...)
	}
	if len(events) == 0 {
		return nil
	}
	err := l.store(ctx, events)
	l.mine.unsent = nil
	if err != nil {
		l.mine.unsent = events[:min(len(events), maxUnsent)]
	}
	for _, w := range writes {
		w.done <- err
	}
	return nil
}

func (l *Log) store(ctx context.Context, events []Event) error {
	began := l.now()
	minute := began.Unix() / 60
	if minute != l.mine.minute || len(l.mine.lines) > fullFile {
		l.mine.number++
		l.mine.minute, l.mine.lines = minute, nil
	}
	lines := bytes.Clone(l.mine.lines)
	for _, event := range events {
		lines = event.appendLine(lines)
	}
	key := fmt.Sprintf("%s/%d/%s-%d", logRoot, minute, l.node, l.mine.number)
	if err := l.storage().Store(ctx, key, lines); err != nil {
		return fmt.Errorf("store the logout: %w", err)
	}
	l.mine.lines = lines
	if l.now().Sub(began) > late {
		return fmt.Errorf("store the logout: %w", errTooSlow) // and once more, into a folder that is still open
	}
	return nil
}

// Ready returns nil if the events are known well enough to trust a session. It
// reads them first if the latest look is too old.
func (l *Log) Ready(ctx context.Context) error {
	if l.Fresh(l.now()) {
		return nil
	}
	err := clusterstore.Hold(ctx, l.reading, readyWithin, func(ctx context.Context) error {
		now := l.now()
		if since := now.Sub(l.asked); !l.Fresh(now) && (since < 0 || since >= lookAgain) {
			return l.poll(ctx)
		}
		return l.err
	})
	if l.Fresh(l.now()) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnknown, cmp.Or(err, errTooSlow))
}

// Fresh reports whether the latest look still counts. A clock that was set back
// by much does not show its age.
func (l *Log) Fresh(now time.Time) bool {
	read := l.read.Load()
	return read != 0 && now.Sub(time.UnixMilli(read)).Abs() < trusted
}

// CatchUp reads what other nodes have written by now. It gives up soon: the next
// look reads what it could not.
func (l *Log) CatchUp(ctx context.Context) {
	asked := l.begun.Load()
	_ = clusterstore.Hold(ctx, l.reading, catchUpWithin, func(ctx context.Context) error {
		if l.done.Load() > asked {
			return nil // an earlier caller has looked since this call began
		}
		return l.poll(ctx)
	})
}

// Poll reads what other nodes have written since, and writes again what could not
// be written. Call it every few seconds.
func (l *Log) Poll(ctx context.Context) error {
	_ = clusterstore.Hold(ctx, l.writing, storeWithin, l.flush) // Add has returned its errors
	return clusterstore.Hold(ctx, l.reading, pollWithin, l.poll)
}
