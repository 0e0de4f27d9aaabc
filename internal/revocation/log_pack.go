package revocation

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

const (
	// packAfter is how long minutes stay as they were written. It may take as long again
	// until they are packed, so readers list up to two hours of minutes, a pack for each
	// ten thousand logouts or so, and a few smaller ones.
	packAfter = time.Hour
	// packGrows is how many times larger than the new events a pack that is merged with
	// them may be. This leaves few small packs, without writing each event every hour.
	packGrows = 4
	// watched is how long a node must know a folder before it packs it, whatever the
	// clocks of the writers show.
	watched = 3 * settled
	// listWithin is how long a List may take. One that began before a pack was written
	// must not miss its sources.
	listWithin = 10 * time.Second
	packWithin = 5 * time.Minute
	// unfitFor is how long an unreadable minute is kept: no session lasts longer.
	unfitFor = 401 * 24 * time.Hour
	packLock = "oidc_rp/facts-packing"

	// Nodes of an earlier release do not know packs. Running ones have read the minutes
	// that are packed, but ones that start would miss those logouts. So nothing is packed
	// during the first day after a node first wanted to, to leave time for updating all
	// nodes. A node that is downgraded later accepts sessions again whose revocations are
	// in packs.
	packsFrom   = "oidc_rp/facts-packed-from"
	rollsWithin = 24 * time.Hour
	// datedFrom is the same for packs with events that the provider dated, which the
	// previous release does not know.
	datedFrom = "oidc_rp/facts-dated-from"
)

var errNotKept = errors.New("the storage does not return what was stored")

// packing is the state of Pack between calls.
type packing struct {
	mu     sync.Mutex
	number int
	unfit  map[int64]bool // minutes with lines that this release cannot read
	early  map[int64]bool // minutes with events that the provider dated, while these may not be packed
}

// source is what a pack is to replace: a minute, or a smaller pack.
type source struct {
	folder string // folder of the files; empty for a pack
	files  []string
}

// due is what has to be packed now.
type due struct {
	minutes []int64
	folders map[int64]*folder
	packs   []smallPack // sorted by size
}

// smallPack is a pack that may be merged with others.
type smallPack struct {
	file   string
	events int // approximate number of events that have not expired
}

// Pack moves the events of closed minutes to packs, and merges small packs, so that
// the number of files stays bounded. One node does it at a time. If two did, events
// would be in two packs but none would be lost, because nothing is deleted before
// the storage has returned the whole pack that holds it. It should be called every
// few minutes.
func (l *Log) Pack(ctx context.Context) error {
	if !l.packing.mu.TryLock() {
		return nil
	}
	defer l.packing.mu.Unlock()
	d, err := l.due(ctx)
	if err != nil {
		return fmt.Errorf("pack logouts: %w", err)
	}
	if d == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, packWithin)
	defer cancel()
	storage := l.storage()
	if may, err := l.mayPack(ctx, storage, packsFrom); err != nil || !may {
		return err
	}
	unlock, err := clusterstore.Lock(ctx, storage, packLock)
	if err != nil {
		return fmt.Errorf("pack logouts: %w", err)
	}
	defer unlock()
	return l.pack(ctx, storage, d)
}

// due returns what has to be packed, or nil if that is too little. It omits events
// that this node has not read.
func (l *Log) due(ctx context.Context) (*due, error) {
	var d *due
	unfit := maps.Clone(l.packing.unfit)
	err := l.reading.Hold(ctx, sweepWithin, func(context.Context) error {
		now := l.now()
		if !l.Fresh(now) {
			return nil
		}
		found := due{folders: make(map[int64]*folder)}
		for minute, f := range l.folders {
			age := now.Sub(time.Unix((minute+1)*60, 0))
			if f.closed && age > packAfter && now.Sub(f.since) > watched && !unfit[minute] && f.until >= now.Add(-settled).Unix() {
				found.minutes = append(found.minutes, minute)
				found.folders[minute] = f // closed folders do not change
			}
		}
		slices.Sort(found.minutes)
		if len(found.minutes) == 0 || now.Sub(time.Unix(found.minutes[0]*60, 0)) < 2*packAfter {
			return nil
		}
		for name, p := range l.packs {
			if p.whole && p.left(now) < packFull/2 {
				found.packs = append(found.packs, smallPack{logRoot + "/" + name, p.left(now)})
			}
		}
		slices.SortFunc(found.packs, func(a, b smallPack) int { return cmp.Compare(a.events, b.events) })
		d = &found
		return nil
	})
	if err != nil {
		return nil, err // the work may still be running
	}
	return d, nil
}

// mayPack reports whether all nodes have had time to learn about packs.
func (l *Log) mayPack(ctx context.Context, storage clusterstore.Storage, mark string) (bool, error) {
	now := l.now()
	data, err := storage.Load(ctx, mark)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("pack logouts: %w", err)
	}
	from, parseErr := strconv.ParseInt(string(data), 10, 64)
	if parseErr == nil && from <= now.Add(rollsWithin+settled).Unix() {
		return from <= now.Unix(), nil
	}
	if err := storage.Store(ctx, mark, strconv.AppendInt(nil, now.Add(rollsWithin).Unix(), 10)); err != nil {
		return false, fmt.Errorf("pack logouts: %w", err)
	}
	return false, nil
}

// pack writes packs and then deletes their sources.
func (l *Log) pack(ctx context.Context, storage clusterstore.Storage, d *due) error {
	began := l.now()
	for _, minutes := range []map[int64]bool{l.packing.unfit, l.packing.early} {
		maps.DeleteFunc(minutes, func(minute int64, _ bool) bool { return began.Sub(time.Unix(minute*60, 0)) > unfitFor })
	}
	p := packer{l: l, storage: storage, mayDated: sync.OnceValue(func() bool {
		may, err := l.mayPack(ctx, storage, datedFrom)
		return err == nil && may
	})}
	err := p.addMinutes(ctx, d, began)
	if err == nil {
		err = p.addPacks(ctx, d.packs)
	}
	if err == nil && len(p.read) > 0 {
		err = p.write(ctx)
	}
	if len(p.packed) > 0 {
		pause(ctx, listWithin)
		err = errors.Join(err, deleteSources(ctx, storage, p.packed))
	}
	if err != nil {
		return fmt.Errorf("pack logouts: %w", err)
	}
	return nil
}

// loadMinute reads the files of a minute again. It returns no source if anything
// has changed or cannot be read; the files then stay.
func (l *Log) loadMinute(ctx context.Context, storage clusterstore.Storage, f *folder, folder string) ([]Event, *source, error) {
	listed, err := clusterstore.List(ctx, storage, folder, false)
	if err != nil {
		return nil, nil, err
	}
	from := source{folder: folder}
	var events []Event
	for _, base := range clusterstore.Children(listed, folder) {
		if !isFile(base) {
			continue
		}
		data, err := storage.Load(ctx, folder+"/"+base)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another node has packed it
		}
		if err != nil {
			return nil, nil, err
		}
		got, all := parseEvents(data)
		if len(got) == 0 || !all || len(data) < f.files[base].size {
			return nil, nil, nil
		}
		events, from.files = append(events, got...), append(from.files, folder+"/"+base)
	}
	return events, &from, nil
}

// storePacks writes packs and reads them back. It returns nil if all events that
// have not expired are in packs that the storage returns.
func (l *Log) storePacks(ctx context.Context, storage clusterstore.Storage, events []Event) error {
	now := l.now()
	for _, events := range forPacks(events, now.Add(-settled)) {
		l.packing.number++
		prefix := packPrefix
		if isDated(events) {
			prefix = datedPrefix
		}
		key := fmt.Sprintf("%s/%s%d-%s-%d", logRoot, prefix, now.Unix()/60, l.node, l.packing.number)
		data := encodePack(events)
		if err := storage.Store(ctx, key, data); err != nil {
			return err
		}
		kept, err := storage.Load(ctx, key)
		if err != nil {
			return err
		}
		if !bytes.Equal(kept, data) {
			return errors.Join(errNotKept, clusterstore.IgnoreAbsent(storage.Delete(ctx, key)))
		}
	}
	return nil
}

// deleteSources deletes files, and folders that are then empty.
func deleteSources(ctx context.Context, storage clusterstore.Storage, sources []source) error {
	var errs []error
	for _, s := range sources {
		for _, file := range s.files {
			errs = append(errs, clusterstore.IgnoreAbsent(storage.Delete(ctx, file)))
		}
		if s.folder == "" {
			continue
		}
		listed, err := clusterstore.List(ctx, storage, s.folder, false)
		errs = append(errs, err)
		other := slices.ContainsFunc(clusterstore.Children(listed, s.folder), func(base string) bool {
			return isFile(base) && !slices.Contains(s.files, s.folder+"/"+base)
		})
		if err == nil && !other {
			errs = append(errs, clusterstore.IgnoreAbsent(storage.Delete(ctx, s.folder)))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
