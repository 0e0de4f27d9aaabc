package revocation

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// packer collects events for packs.
type packer struct {
	l        *Log
	storage  clusterstore.Storage
	mayDated func() bool // whether all nodes know packs with dated events

	events []Event
	read   []source // sources of events
	packed []source // sources of packs that are already written
}

// write writes the collected events to packs.
func (p *packer) write(ctx context.Context) error {
	err := p.l.storePacks(ctx, p.storage, p.events)
	if err == nil {
		p.packed = append(p.packed, p.read...)
	}
	p.events, p.read = nil, nil
	return err
}

// addMinutes collects the events of the minutes that are due. It writes full packs,
// and leaves the rest for the next time if it takes too long.
func (p *packer) addMinutes(ctx context.Context, d *due, began time.Time) error {
	for _, minute := range d.minutes {
		if len(p.events) >= packFull {
			if err := p.write(ctx); err != nil {
				return err
			}
		}
		if p.l.now().Sub(began) > packWithin/2 {
			break
		}
		if err := p.addMinute(ctx, minute, d.folders[minute]); err != nil {
			return err
		}
	}
	return nil
}

// addMinute collects the events of one minute, unless it is unfit for a pack or too
// early.
func (p *packer) addMinute(ctx context.Context, minute int64, f *folder) error {
	packing := &p.l.packing
	if packing.early[minute] && !p.mayDated() {
		return nil
	}
	got, from, err := p.l.loadMinute(ctx, p.storage, f, folderOf(minute))
	if err != nil {
		return err
	}
	if from == nil {
		if packing.unfit == nil {
			packing.unfit = make(map[int64]bool)
		}
		packing.unfit[minute] = true
		return nil
	}
	if isDated(got) {
		if !p.mayDated() {
			if packing.early == nil {
				packing.early = make(map[int64]bool)
			}
			packing.early[minute] = true
			return nil
		}
		delete(packing.early, minute)
	}
	p.events, p.read = append(p.events, got...), append(p.read, *from)
	return nil
}

// addPacks collects the events of small packs, the smallest first, as long as
// merging them is worthwhile.
func (p *packer) addPacks(ctx context.Context, packs []smallPack) error {
	for _, small := range packs {
		if len(p.events) >= packFull || small.events > packGrows*len(p.events) {
			break
		}
		data, err := p.storage.Load(ctx, small.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another node has packed it
		}
		if err != nil {
			return err
		}
		if got, whole := parsePack(data); whole {
			p.events, p.read = append(p.events, got...), append(p.read, source{files: []string{small.file}})
		}
	}
	return nil
}
