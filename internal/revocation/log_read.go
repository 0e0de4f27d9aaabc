package revocation

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
	// movable is the age from which the files of a minute may move to a pack while they
	// are read. It is well below the age at which nodes pack them.
	movable = packAfter / 2
	// looks is how often one reading lists the packs again because other nodes are
	// replacing them.
	looks = 4
	// brokenAgain is how long to wait before reading a broken pack again.
	brokenAgain = 10 * time.Minute
)

var errMoving = errors.New("logouts are being packed")

// folder is what is known about one minute's files.
type folder struct {
	since time.Time // when it was first seen
	// first is the same, or zero if the minute is long past by any clock: it is then
	// not late, but new to this node.
	first  time.Time
	closed bool
	until  int64
	files  map[string]seen
}

type seen struct {
	size   int
	steady bool // whether it had the same size in two readings
}

// pack is what is known about one pack.
type pack struct {
	first, tried time.Time
	whole        bool // whether it was read completely
	events       int
	half, until  int64 // when half and all of the events expire, in Unix seconds
}

func (l *Log) poll(ctx context.Context) error {
	began, number := l.now(), l.begun.Add(1)
	l.asked = began
	if l.err = l.readAll(ctx, began); l.err != nil {
		return l.err
	}
	l.read.Store(began.UnixMilli())
	l.done.Store(number)
	return nil
}

// readAll reads what is new: first the minutes, then the packs, since events move
// from minutes to packs. It lists the packs again if a minute may already have been
// partly packed, and as long as listed packs vanish. What was read is kept even if
// the rest fails.
func (l *Log) readAll(ctx context.Context, now time.Time) error {
	storage := l.storage()
	minutes, packs, err := listRoot(ctx, storage)
	if err != nil {
		return err
	}
	moved, err := l.readFolders(ctx, storage, minutes, now)
	for look := 0; err == nil && look < looks; look++ {
		if moved {
			if _, packs, err = listRoot(ctx, storage); err != nil {
				return err
			}
		}
		if moved, err = l.readPacks(ctx, storage, packs, now); err == nil && !moved {
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
	minutes, names, err := clusterstore.ListMinutes(ctx, storage, logRoot)
	return minutes, slices.DeleteFunc(names, func(name string) bool { return !isPack(name) }), err
}

// readFolders reads the minutes that can still change. moved reports whether any of
// them may have been packed meanwhile.
func (l *Log) readFolders(ctx context.Context, storage clusterstore.Storage, minutes []int64, now time.Time) (moved bool, err error) {
	for _, minute := range minutes {
		ended := time.Unix((minute+1)*60, 0)
		f := l.folders[minute]
		if f == nil {
			f = &folder{since: now, files: make(map[string]seen)}
			read := l.read.Load()
			if late := read != 0 && time.UnixMilli(read).After(ended); late || now.Sub(ended) <= 3*settled {
				f.first = now
			}
			l.folders[minute] = f
		}
		if f.closed {
			continue
		}
		vanished, err := l.readFolder(ctx, storage, f, folderOf(minute))
		if err != nil {
			return false, err
		}
		moved = moved || vanished || l.now().Sub(ended) > movable
		// A node whose clock is behind writes to minutes that are past by ours, so they
		// must also have been known for long enough.
		f.closed = !vanished && now.After(ended.Add(settled)) && now.Sub(f.first) > settled+time.Minute
	}
	for minute, f := range l.folders {
		if _, present := slices.BinarySearch(minutes, minute); !present {
			moved = moved || !f.closed
			delete(l.folders, minute)
		}
	}
	return moved, nil
}

func folderOf(minute int64) string { return fmt.Sprintf("%s/%d", logRoot, minute) }

func (l *Log) readFolder(ctx context.Context, storage clusterstore.Storage, f *folder, name string) (vanished bool, err error) {
	listed, err := clusterstore.List(ctx, storage, name, false)
	if err != nil {
		return false, err
	}
	vanished = listed == nil
	for _, base := range clusterstore.Children(listed, name) {
		before := f.files[base]
		if !isFile(base) || before.steady && before.size > fullFile {
			continue // no node writes to it now
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
		events, _ := parseEvents(data)
		l.add(events...)
		for _, event := range events {
			f.until = max(f.until, event.until.Unix())
		}
	}
	return vanished, nil
}

// readPacks reads new packs. vanished reports whether one had vanished: its events
// are then in another pack.
func (l *Log) readPacks(ctx context.Context, storage clusterstore.Storage, names []string, now time.Time) (vanished bool, err error) {
	for _, name := range names {
		p := l.packs[name]
		if p == nil {
			p = &pack{first: now}
			l.packs[name] = p
		}
		if p.whole || now.Sub(p.first) > settled && now.Sub(p.tried).Abs() < brokenAgain {
			continue
		}
		data, err := storage.Load(ctx, logRoot+"/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			vanished = true
			continue
		}
		if err != nil {
			return false, fmt.Errorf("load packed logouts: %w", err)
		}
		p.tried = now
		// A broken pack is still being written, by a node that has not yet deleted the
		// sources, or its contents are lost.
		if events, ok := parsePack(data); ok {
			l.add(events...)
			p.whole, p.events = true, len(events)
			if len(events) > 0 {
				p.half, p.until = events[len(events)/2].until.Unix(), events[len(events)-1].until.Unix()
			}
		}
	}
	for name := range l.packs {
		if _, present := slices.BinarySearch(names, name); !present {
			delete(l.packs, name)
		}
	}
	return vanished, nil
}

// left returns the approximate number of a pack's events that have not expired.
func (p *pack) left(now time.Time) int {
	if p.half < now.Unix() {
		return p.events / 2
	}
	return p.events
}

// isFile reports whether a node may have given a file this name. A storage may list
// half-written files under other names.
func isFile(base string) bool {
	node, number, ok := strings.Cut(base, "-")
	_, err := strconv.ParseUint(number, 10, 64)
	return ok && err == nil && len(node) == 16 && strings.Trim(node, "0123456789abcdef") == ""
}
