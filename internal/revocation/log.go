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

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

const (
	logRoot = "oidc_rp/facts"
	// settled is how long after its minute a folder may still be written to, by slow
	// nodes or by nodes whose clocks differ.
	settled = 5 * time.Minute
	// fullFile is the size in bytes from which a node begins another file.
	fullFile = 32 << 10
	// trusted is how long the events that were read are trusted while the storage is
	// down. An outage must not undo logouts indefinitely.
	trusted = 5 * time.Minute
	// lookAgain is the interval of readings that fail.
	lookAgain = time.Second
	// late is how long a Store may take before readers may have closed the folder
	// without its events.
	late = 2 * time.Minute
	// maxUnsent is the maximum number of events that wait for a storage that fails.
	maxUnsent = 10_000

	// How long callers wait for the storage.
	storeWithin   = 10 * time.Second
	readyWithin   = 5 * time.Second
	catchUpWithin = time.Second
	pollWithin    = 30 * time.Second
	sweepWithin   = 30 * time.Second
)

// ErrUnknown means that the events have not been read for so long that a session
// that has ended could pass for valid.
var ErrUnknown = errors.New("the storage of logouts cannot be read")

var errTooSlow = errors.New("it answers too slowly")

// Log holds the events of all nodes that share a storage. Each node appends to a
// file of its own in the folder of the minute, so that no node overwrites another's
// file and readers read only what can still change. Older events move to packs, so
// that the cost of reading does not grow with time. It is safe for concurrent use,
// and no call waits indefinitely for a storage that hangs.
type Log struct {
	index
	storage func() clusterstore.Storage
	now     func() time.Time
	node    string

	writing bounded.Turn // held during a Store; guards mine
	mine    file

	waiting sync.Mutex // guards pending
	pending []*write

	reading bounded.Turn // held while reading; guards folders and packs
	folders map[int64]*folder
	packs   map[string]*pack
	asked   time.Time
	err     error

	packing packing

	read atomic.Int64 // when the last complete reading began, in Unix milliseconds
	// Readings are numbered, since clocks can be set back: the last one begun, and the
	// last one completed.
	begun, done atomic.Int64
}

type write struct {
	events []Event
	done   chan error
}

// file is what this node has written in one minute.
type file struct {
	minute int64
	number int
	lines  []byte
	unsent []Event // events that a Store failed to write
}

// NewLog returns an empty log. It calls storage at each use, since the storage may
// change with the configuration.
func NewLog(storage func() clusterstore.Storage, now func() time.Time) *Log {
	var id [8]byte
	rand.Read(id[:]) // processes that share a storage may have nothing else that distinguishes them
	return &Log{
		storage: storage, now: now, node: hex.EncodeToString(id[:]),
		writing: bounded.NewTurn(), reading: bounded.NewTurn(),
		folders: make(map[int64]*folder), packs: make(map[string]*pack),
	}
}

// Add stores events and returns when they are stored. They apply on this node even
// if that fails. Concurrent calls share one write. Events that spare later sessions
// are dated after all events with the same key on all nodes.
func (l *Log) Add(ctx context.Context, events ...Event) error {
	if slices.ContainsFunc(events, func(f Event) bool { return f.later }) {
		l.CatchUp(context.WithoutCancel(ctx))
	}
	events = l.addAfter(events)
	w := &write{events, make(chan error, 1)}
	l.waiting.Lock()
	l.pending = append(l.pending, w)
	l.waiting.Unlock()

	// Write the logout even if the caller's context has ended.
	err := l.writing.Hold(context.WithoutCancel(ctx), storeWithin, l.flush)
	select {
	case err = <-w.done: // by our flush, or by the one that we waited for
		return err
	default:
		return fmt.Errorf("store the logout: %w", err)
	}
}

// flush stores all pending events and reports errors to the waiting callers. The
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
		return fmt.Errorf("store the logout: %w", errTooSlow) // it is stored again, in a folder that is still open
	}
	return nil
}

// Ready returns nil if the events are recent enough to trust a session. If not, it
// reads them first.
func (l *Log) Ready(ctx context.Context) error {
	if l.Fresh(l.now()) {
		return nil
	}
	err := l.reading.Hold(ctx, readyWithin, func(ctx context.Context) error {
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

// Fresh reports whether the events were read recently. It may be wrong if the clock
// was set back a lot.
func (l *Log) Fresh(now time.Time) bool {
	read := l.read.Load()
	return read != 0 && now.Sub(time.UnixMilli(read)).Abs() < trusted
}

// CatchUp reads what other nodes have written. It gives up soon; the next reading
// makes up for it.
func (l *Log) CatchUp(ctx context.Context) {
	asked := l.begun.Load()
	_ = l.reading.Hold(ctx, catchUpWithin, func(ctx context.Context) error {
		if l.done.Load() > asked {
			return nil // an earlier caller has read since this call began
		}
		return l.poll(ctx)
	})
}

// Poll reads what other nodes have written, and retries failed writes. It should be
// called every few seconds.
func (l *Log) Poll(ctx context.Context) error {
	_ = l.writing.Hold(ctx, storeWithin, l.flush) // Add has returned its errors
	return l.reading.Hold(ctx, pollWithin, l.poll)
}
