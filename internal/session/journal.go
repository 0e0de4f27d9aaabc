package session

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
	journalRoot = "oidc_rp/facts"
	// settled is how long after its minute a folder may still be written to,
	// by nodes that are slow or whose clocks differ.
	settled = 5 * time.Minute
	// fullFile is the size from which a node begins another file.
	fullFile = 32 << 10
	// trusted is how long the facts that were read last hold when the storage
	// does not answer: an outage must not undo a logout for ever.
	trusted = 5 * time.Minute
	// lookAgain is how long a failed look stands when requests ask for one.
	lookAgain = time.Second
	// late is how long a Store may take, beyond which readers may have closed
	// the folder before it held the facts.
	late = 2 * time.Minute
	// maxUnsent is how many facts wait here for a storage that fails.
	maxUnsent = 10_000

	// How long anybody waits for the storage.
	storeWithin   = 10 * time.Second
	readyWithin   = 5 * time.Second
	catchUpWithin = time.Second
	pollWithin    = 30 * time.Second
	sweepWithin   = 30 * time.Second
)

// ErrFactsUnknown is returned when the facts have not been read for so long
// that a session which ended could pass for one that lives.
var ErrFactsUnknown = errors.New("the storage of logouts cannot be read")

var errTooSlow = errors.New("it answers too slowly")

// Journal is the facts of all nodes that share a storage. Each node appends to
// a file of its own in the folder of the minute, so that nobody overwrites
// another's and a reader looks only at what can still change. What is older is
// moved to packs, so that a look costs the same however long facts are kept. It
// is safe for concurrent use, and nobody waits for ever for a storage that
// hangs.
type Journal struct {
	known
	storage func() clusterstore.Storage
	now     func() time.Time
	node    string

	writing chan struct{} // held by the one Store at a time, which owns:
	mine    file

	waiting sync.Mutex // holds pending
	pending []*write

	reading chan struct{} // held by the one look at a time, which owns:
	folders map[int64]*folder
	packs   map[string]*pack
	asked   time.Time
	err     error

	packing packing

	read atomic.Int64 // when the last complete look began by our clock, in milliseconds
	// Looks by number, since clocks can be set back: the last that has begun, and
	// the last that is complete.
	begun, done atomic.Int64
}

type write struct {
	facts []Fact
	done  chan error
}

// file is what this node has written in this minute.
type file struct {
	minute int64
	number int
	lines  []byte
	unsent []Fact // what a failed Store left behind
}

// NewJournal returns a journal that has read nothing yet. The storage is asked
// for at each use, since it may change with the configuration.
func NewJournal(storage func() clusterstore.Storage, now func() time.Time) *Journal {
	var id [8]byte
	rand.Read(id[:]) // two processes on one storage may share everything else
	return &Journal{
		storage: storage, now: now, node: hex.EncodeToString(id[:]),
		writing: make(chan struct{}, 1), reading: make(chan struct{}, 1),
		folders: make(map[int64]*folder), packs: make(map[string]*pack),
	}
}

// End writes facts and returns when they are kept. On this node they hold even
// if that fails. What is written at the same time shares one call. Facts that
// spare later sessions are dated after all facts about the same of all nodes: a
// session that those spare has begun by now.
func (j *Journal) End(ctx context.Context, facts ...Fact) error {
	if slices.ContainsFunc(facts, func(f Fact) bool { return f.later }) {
		j.CatchUp(context.WithoutCancel(ctx))
	}
	facts = j.tell(facts)
	w := &write{facts, make(chan error, 1)}
	j.waiting.Lock()
	j.pending = append(j.pending, w)
	j.waiting.Unlock()

	// The logout must be written even if who asked for it has gone.
	err := clusterstore.Hold(context.WithoutCancel(ctx), j.writing, storeWithin, j.flush)
	select {
	case err = <-w.done: // by our flush, or by that of whom we waited for
		return err
	default:
		return fmt.Errorf("store the logout: %w", err)
	}
}

// flush stores all that is pending. The caller holds writing; the errors go to
// those who wait.
func (j *Journal) flush(ctx context.Context) error {
	j.waiting.Lock()
	writes := j.pending
	j.pending = nil
	j.waiting.Unlock()
	facts := j.mine.unsent
	for _, w := range writes {
		facts = append(facts, w.facts...)
	}
	if len(facts) == 0 {
		return nil
	}
	err := j.store(ctx, facts)
	j.mine.unsent = nil
	if err != nil {
		j.mine.unsent = facts[:min(len(facts), maxUnsent)]
	}
	for _, w := range writes {
		w.done <- err
	}
	return nil
}

func (j *Journal) store(ctx context.Context, facts []Fact) error {
	began := j.now()
	minute := began.Unix() / 60
	if minute != j.mine.minute || len(j.mine.lines) > fullFile {
		j.mine.number++
		j.mine.minute, j.mine.lines = minute, nil
	}
	lines := bytes.Clone(j.mine.lines)
	for _, fact := range facts {
		lines = fact.appendLine(lines)
	}
	key := fmt.Sprintf("%s/%d/%s-%d", journalRoot, minute, j.node, j.mine.number)
	if err := j.storage().Store(ctx, key, lines); err != nil {
		return fmt.Errorf("store the logout: %w", err)
	}
	j.mine.lines = lines
	if j.now().Sub(began) > late {
		return fmt.Errorf("store the logout: %w", errTooSlow) // and once more, into a folder that is still open
	}
	return nil
}

// Ready returns nil when the facts are known well enough to trust a session,
// reading them first where they were not for too long.
func (j *Journal) Ready(ctx context.Context) error {
	if j.Fresh(j.now()) {
		return nil
	}
	err := clusterstore.Hold(ctx, j.reading, readyWithin, func(ctx context.Context) error {
		now := j.now()
		if since := now.Sub(j.asked); !j.Fresh(now) && (since < 0 || since >= lookAgain) {
			return j.poll(ctx)
		}
		return j.err
	})
	if j.Fresh(j.now()) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrFactsUnknown, cmp.Or(err, errTooSlow))
}

// Fresh says whether the last look still counts. A clock that was set back by
// much says nothing about its age.
func (j *Journal) Fresh(now time.Time) bool {
	read := j.read.Load()
	return read != 0 && now.Sub(time.UnixMilli(read)).Abs() < trusted
}

// CatchUp reads what other nodes have written by now, or gives up soon: what it
// could not read is read with the next look.
func (j *Journal) CatchUp(ctx context.Context) {
	asked := j.begun.Load()
	_ = clusterstore.Hold(ctx, j.reading, catchUpWithin, func(ctx context.Context) error {
		if j.done.Load() > asked {
			return nil // who came before has looked since we asked
		}
		return j.poll(ctx)
	})
}

// Poll reads what other nodes have written since, and tries again to write
// what could not be written. It is to be called every few seconds.
func (j *Journal) Poll(ctx context.Context) error {
	_ = clusterstore.Hold(ctx, j.writing, storeWithin, j.flush) // End has told of it
	return clusterstore.Hold(ctx, j.reading, pollWithin, j.poll)
}
