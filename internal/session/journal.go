package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Storage is what the journal needs of the place where facts are kept; Caddy's
// storage has it. An absent key or folder is fs.ErrNotExist.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
}

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
)

// ErrFactsUnknown is returned when the facts have not been read for so long
// that a session which ended could pass for one that lives.
var ErrFactsUnknown = errors.New("the storage of logouts cannot be read")

// Journal is the facts of all nodes that share a storage. Each node appends to
// a file of its own in the folder of the minute, so that nobody overwrites
// another's and a reader looks only at what can still change. It is safe for
// concurrent use.
type Journal struct {
	known
	storage func() Storage
	now     func() time.Time
	node    string

	writing sync.Mutex // one Store at a time
	mine    file

	waiting sync.Mutex // holds pending
	pending []*write

	polling sync.Mutex
	folders map[int64]*folder
	read    atomic.Int64 // the last complete look by our clock, in milliseconds
	asked   time.Time
	err     error
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

type folder struct {
	closed bool
	until  int64
	sizes  map[string]int
}

// NewJournal returns a journal that has read nothing yet. The storage is asked
// for at each use, since it may change with the configuration.
func NewJournal(storage func() Storage, now func() time.Time) *Journal {
	var id [8]byte
	rand.Read(id[:]) // two processes on one storage may share everything else
	return &Journal{storage: storage, now: now, node: hex.EncodeToString(id[:]), folders: make(map[int64]*folder)}
}

// End writes facts and returns when they are kept. On this node they hold even
// if that fails. What is written at the same time shares one call.
func (j *Journal) End(ctx context.Context, facts ...Fact) error {
	j.add(facts...)
	w := &write{facts, make(chan error, 1)}
	j.waiting.Lock()
	j.pending = append(j.pending, w)
	j.waiting.Unlock()

	j.writing.Lock()
	j.flush(ctx)
	j.writing.Unlock()
	return <-w.done // by our flush, or by that of whom we waited for
}

// flush stores all that is pending. The caller holds writing.
func (j *Journal) flush(ctx context.Context) {
	j.waiting.Lock()
	writes := j.pending
	j.pending = nil
	j.waiting.Unlock()
	facts := j.mine.unsent
	for _, w := range writes {
		facts = append(facts, w.facts...)
	}
	if len(facts) == 0 {
		return
	}
	err := j.store(ctx, facts)
	j.mine.unsent = nil
	if err != nil && len(facts) <= 10_000 {
		j.mine.unsent = facts
	}
	for _, w := range writes {
		w.done <- err
	}
}

func (j *Journal) store(ctx context.Context, facts []Fact) error {
	minute := j.now().Unix() / 60
	if minute != j.mine.minute || len(j.mine.lines) > fullFile {
		j.mine.number++
		j.mine.minute, j.mine.lines = minute, nil
	}
	lines := bytes.Clone(j.mine.lines)
	for _, fact := range facts {
		lines = fact.appendLine(lines)
	}
	// The logout must be written even if who asked for it has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	key := fmt.Sprintf("%s/%d/%s-%d", journalRoot, minute, j.node, j.mine.number)
	if err := j.storage().Store(ctx, key, lines); err != nil {
		return fmt.Errorf("store the logout: %w", err)
	}
	j.mine.lines = lines
	return nil
}

func (f Fact) appendLine(dst []byte) []byte {
	kind := "at"
	if f.later {
		kind = "by"
	}
	return fmt.Appendf(dst, "%s %s %d %d\n", base64.RawURLEncoding.EncodeToString(f.key[:]), kind, f.at.UnixMilli(), f.until.Unix())
}

// parseFacts reads the lines of a file. A line that was cut short is left out:
// the writer stores the whole file anew with the next one.
func parseFacts(data []byte) []Fact {
	var facts []Fact
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 4 || !strings.HasSuffix(line, "\n") {
			continue
		}
		key, err := base64.RawURLEncoding.DecodeString(fields[0])
		at, atErr := strconv.ParseInt(fields[2], 10, 64)
		until, untilErr := strconv.ParseInt(fields[3], 10, 64)
		if errors.Join(err, atErr, untilErr) != nil || len(key) != len(factKey{}) || fields[1] != "at" && fields[1] != "by" {
			continue
		}
		facts = append(facts, Fact{key: factKey(key), at: time.UnixMilli(at), until: time.Unix(until, 0), later: fields[1] == "by"})
	}
	return facts
}

// Ready returns nil when the facts are known well enough to trust a session,
// reading them first where they were not for too long.
func (j *Journal) Ready(ctx context.Context) error {
	if j.fresh(j.now()) {
		return nil
	}
	j.polling.Lock()
	defer j.polling.Unlock()
	now := j.now()
	if j.fresh(now) {
		return nil
	}
	if since := now.Sub(j.asked); j.asked.IsZero() || since < 0 || since >= time.Second {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		j.poll(ctx)
	}
	if j.fresh(j.now()) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrFactsUnknown, j.err)
}

func (j *Journal) fresh(now time.Time) bool {
	read := j.read.Load()
	return read != 0 && now.Sub(time.UnixMilli(read)) < trusted
}

// Poll reads what other nodes have written since, and tries again to write
// what could not be written. It is to be called every few seconds.
func (j *Journal) Poll(ctx context.Context) error {
	j.writing.Lock()
	j.flush(ctx)
	j.writing.Unlock()

	j.polling.Lock()
	defer j.polling.Unlock()
	return j.poll(ctx)
}

func (j *Journal) poll(ctx context.Context) error {
	began := j.now()
	j.asked = began
	if j.err = j.readFolders(ctx, began); j.err != nil {
		return j.err
	}
	j.read.Store(began.UnixMilli())
	return nil
}

func (j *Journal) readFolders(ctx context.Context, now time.Time) error {
	storage := j.storage()
	names, err := list(ctx, storage, journalRoot)
	if err != nil {
		return fmt.Errorf("list logouts: %w", err)
	}
	present := make(map[int64]bool, len(names))
	for _, name := range names {
		minute, err := strconv.ParseInt(path.Base(name), 10, 64)
		if err != nil {
			continue // not ours
		}
		present[minute] = true
		f := j.folders[minute]
		if f == nil {
			f = &folder{sizes: make(map[string]int)}
			j.folders[minute] = f
		}
		if f.closed {
			continue
		}
		if err := j.readFolder(ctx, storage, f, journalRoot+"/"+path.Base(name)); err != nil {
			return err
		}
		f.closed = now.After(time.Unix((minute+1)*60, 0).Add(settled))
	}
	for minute := range j.folders {
		if !present[minute] {
			delete(j.folders, minute)
		}
	}
	return nil
}

func (j *Journal) readFolder(ctx context.Context, storage Storage, f *folder, name string) error {
	files, err := list(ctx, storage, name)
	if err != nil {
		return fmt.Errorf("list logouts: %w", err)
	}
	for _, file := range files {
		base := path.Base(file)
		if f.sizes[base] > fullFile {
			continue // nobody writes to it any more
		}
		data, err := storage.Load(ctx, name+"/"+base)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("load logouts: %w", err)
		}
		if f.sizes[base] == len(data) {
			continue
		}
		facts := parseFacts(data)
		j.add(facts...)
		f.sizes[base] = len(data)
		for _, fact := range facts {
			f.until = max(f.until, fact.until.Unix())
		}
	}
	return nil
}

func list(ctx context.Context, storage Storage, prefix string) ([]string, error) {
	names, err := storage.List(ctx, prefix, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// Sweep forgets the facts that can end nothing any more, here and in the
// storage. It is to be called every few minutes.
func (j *Journal) Sweep(ctx context.Context) error {
	now := j.now()
	j.known.sweep(now)
	j.polling.Lock()
	defer j.polling.Unlock()
	var errs []error
	storage := j.storage()
	for minute, f := range j.folders {
		if !f.closed || f.until >= now.Add(-settled).Unix() {
			continue
		}
		folder := fmt.Sprintf("%s/%d", journalRoot, minute)
		for name := range f.sizes {
			errs = append(errs, ignoreAbsent(storage.Delete(ctx, folder+"/"+name)))
		}
		errs = append(errs, ignoreAbsent(storage.Delete(ctx, folder)))
		delete(j.folders, minute)
	}
	return errors.Join(errs...)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
