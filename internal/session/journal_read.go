package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

const (
	// movable is from which age on the files of a minute may vanish into a pack
	// while they are read: well before anybody packs them.
	movable = packAfter / 2
	// looks is how often the packs are listed anew in one look, because others
	// are replacing them.
	looks = 4
	// brokenAgain is how long a pack that is still broken after a while is left
	// alone, before it is read once more.
	brokenAgain = 10 * time.Minute
)

var errMoving = errors.New("logouts are being packed")

// folder is what is known of one minute's files.
type folder struct {
	since time.Time // when it was seen first
	// first is the same, or zero where it is long past by any clock: one that
	// is not late, but new to us.
	first  time.Time
	closed bool
	until  int64
	files  map[string]seen
}

type seen struct {
	size   int
	steady bool // of the same size in two looks
}

// pack is what is known of one pack.
type pack struct {
	first, tried time.Time
	whole        bool // and read
	facts        int
	half, until  int64 // when half of them and all of them are over, in seconds
}

func (j *Journal) poll(ctx context.Context) error {
	began, number := j.now(), j.begun.Add(1)
	j.asked = began
	if j.err = j.readAll(ctx, began); j.err != nil {
		return j.err
	}
	j.read.Store(began.UnixMilli())
	j.done.Store(number)
	return nil
}

// readAll reads what is new, first the minutes, then the packs, since facts
// move from those to these: packs are listed once more where a minute was read
// that may have been half packed already, and as long as listed ones vanish.
// What was read stays read if the rest is not.
func (j *Journal) readAll(ctx context.Context, now time.Time) error {
	storage := j.storage()
	minutes, packs, err := listRoot(ctx, storage)
	if err != nil {
		return err
	}
	moved, err := j.readFolders(ctx, storage, minutes, now)
	for look := 0; err == nil && look < looks; look++ {
		if moved {
			if _, packs, err = listRoot(ctx, storage); err != nil {
				return err
			}
		}
		if moved, err = j.readPacks(ctx, storage, packs, now); err == nil && !moved {
			return nil
		}
	}
	if err == nil {
		err = errMoving
	}
	return err
}

// listRoot returns the minutes that have a folder, and the packs, both sorted.
func listRoot(ctx context.Context, storage clusterstore.Storage) (minutes []int64, packs []string, err error) {
	minutes, names, err := clusterstore.ListMinutes(ctx, storage, journalRoot)
	return minutes, slices.DeleteFunc(names, func(name string) bool { return !isPack(name) }), err
}

// readFolders reads what can still change. It says whether any of that may
// have been packed meanwhile.
func (j *Journal) readFolders(ctx context.Context, storage clusterstore.Storage, minutes []int64, now time.Time) (moved bool, err error) {
	for _, minute := range minutes {
		ended := time.Unix((minute+1)*60, 0)
		f := j.folders[minute]
		if f == nil {
			f = &folder{since: now, files: make(map[string]seen)}
			read := j.read.Load()
			if late := read != 0 && time.UnixMilli(read).After(ended); late || now.Sub(ended) <= 3*settled {
				f.first = now
			}
			j.folders[minute] = f
		}
		if f.closed {
			continue
		}
		vanished, err := j.readFolder(ctx, storage, f, folderOf(minute))
		if err != nil {
			return false, err
		}
		moved = moved || vanished || j.now().Sub(ended) > movable
		// A node whose clock is behind writes to what is past by ours: by our own
		// clock, too, it must have had its time.
		f.closed = !vanished && now.After(ended.Add(settled)) && now.Sub(f.first) > settled+time.Minute
	}
	for minute, f := range j.folders {
		if _, present := slices.BinarySearch(minutes, minute); !present {
			moved = moved || !f.closed
			delete(j.folders, minute)
		}
	}
	return moved, nil
}

func folderOf(minute int64) string { return fmt.Sprintf("%s/%d", journalRoot, minute) }

func (j *Journal) readFolder(ctx context.Context, storage clusterstore.Storage, f *folder, name string) (vanished bool, err error) {
	listed, err := clusterstore.List(ctx, storage, name, false)
	if err != nil {
		return false, err
	}
	vanished = listed == nil
	for _, base := range clusterstore.Children(listed, name) {
		before := f.files[base]
		if !isFile(base) || before.steady && before.size > fullFile {
			continue // nobody writes to it any more
		}
		data, err := storage.Load(ctx, name+"/"+base)
		if errors.Is(err, fs.ErrNotExist) {
			vanished = true
			continue
		}
		if err != nil {
			return false, fmt.Errorf("load logouts: %w", err)
		}
		f.files[base] = seen{len(data), before.size == len(data)}
		if before.size == len(data) {
			continue
		}
		facts, _ := parseFacts(data)
		j.add(facts...)
		for _, fact := range facts {
			f.until = max(f.until, fact.until.Unix())
		}
	}
	return vanished, nil
}

// readPacks reads the packs that are new. It says whether one of them had
// vanished: its facts are in another one by now.
func (j *Journal) readPacks(ctx context.Context, storage clusterstore.Storage, names []string, now time.Time) (vanished bool, err error) {
	for _, name := range names {
		p := j.packs[name]
		if p == nil {
			p = &pack{first: now}
			j.packs[name] = p
		}
		if p.whole || now.Sub(p.first) > settled && now.Sub(p.tried).Abs() < brokenAgain {
			continue
		}
		data, err := storage.Load(ctx, journalRoot+"/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			vanished = true
			continue
		}
		if err != nil {
			return false, fmt.Errorf("load packed logouts: %w", err)
		}
		p.tried = now
		// A broken one is still being written, by who has not deleted yet what
		// is in it, or nobody will ever know what it held.
		if facts, ok := parsePack(data); ok {
			j.add(facts...)
			p.whole, p.facts = true, len(facts)
			if len(facts) > 0 {
				p.half, p.until = facts[len(facts)/2].until.Unix(), facts[len(facts)-1].until.Unix()
			}
		}
	}
	for name := range j.packs {
		if _, present := slices.BinarySearch(names, name); !present {
			delete(j.packs, name)
		}
	}
	return vanished, nil
}

// left is about how many of a pack's facts still matter.
func (p *pack) left(now time.Time) int {
	if p.half < now.Unix() {
		return p.facts / 2
	}
	return p.facts
}

// isFile says whether a name is one that a node gives to a file: a storage may
// show what it has half written under other names.
func isFile(base string) bool {
	node, number, ok := strings.Cut(base, "-")
	_, err := strconv.ParseUint(number, 10, 64)
	return ok && err == nil && len(node) == 16 && strings.Trim(node, "0123456789abcdef") == ""
}
