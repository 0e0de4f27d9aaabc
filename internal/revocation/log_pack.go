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
	// packAfter is how long minutes stay as they were written. As long again may
	// pass before they are packed, so each look lists up to two hours of minutes, a
	// pack for each ten thousand logouts or so, and a few smaller ones.
	packAfter = time.Hour
	// packGrows is how many times larger than the new events a pack may be that is
	// merged with them: so there are few small packs, and yet no event is written
	// again every hour.
	packGrows = 4
	// watched is how long a node must know a folder before it packs it, whatever
	// the clocks of the writers show.
	watched = 3 * settled
	// listWithin is how long a List may take: one that began before a pack was
	// written must not miss its sources.
	listWithin = 10 * time.Second
	packWithin = 5 * time.Minute
	// unfitFor is how long a minute may exist: no session lasts longer.
	unfitFor = 401 * 24 * time.Hour
	packLock = "oidc_rp/facts-packing"

	// A node of an earlier release does not know packs. One that is running has
	// read the minutes that go into them, but one that starts would not learn of
	// those logouts. So nothing is packed in the first day after a node first
	// wanted to, which is enough time to update all nodes. A node that goes back to
	// an earlier release after that accepts the sessions again whose end is in
	// packs.
	packsFrom   = "oidc_rp/facts-packed-from"
	rollsWithin = 24 * time.Hour
	// datedFrom is the same for packs with events that the provider dated, which
	// the release before does not know.
	datedFrom = "oidc_rp/facts-dated-from"
)

var errNotKept = errors.New("the storage does not return what was stored")

// packing is what Pack keeps between calls.
type packing struct {
	mu     sync.Mutex
	number int
	unfit  map[int64]bool // minutes with lines that this release cannot read
	early  map[int64]bool // minutes with events that the provider dated, until these may be packed
}

// source is what is to be replaced by a pack: a minute, or a smaller pack.
type source struct {
	folder string // of the files; empty for a pack
	files  []string
}

// due is what is to be packed now.
type due struct {
	minutes []int64
	folders map[int64]*folder
	packs   []smallPack // the smallest first
}

// smallPack is a pack that may be merged with others.
type smallPack struct {
	file   string
	events int // that still matter, about
}

// Pack moves the events of closed minutes to packs, and small packs into larger
// ones, so that what there is to list stays bounded however long events are
// kept. One node does it at a time. If two did, events would be in two packs, but
// none would be lost, since nothing is deleted before the storage has returned the
// whole pack that holds it. Call it every few minutes.
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

// due returns what is to be packed, nil if there is too little. A node that does
// not know the events leaves them to others.
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
				found.folders[minute] = f // which does not change any more
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
		return nil, err // the work may still be under way
	}
	return d, nil
}

// mayPack reports whether all nodes have had their time to know packs.
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

// pack writes packs and then deletes what is in them.
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

// loadMinute reads the files of a minute once more. It returns no source where
// anything is not as it was read before, or cannot be read: then they stay.
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

// storePacks returns nil when the events, but for those that are over, are in
// packs which the storage returns.
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

// deleteSources removes files, and the folders where nothing else is.
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
