package revocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// brokenFor is how long a pack may be broken before it is deleted.
const brokenFor = 24 * time.Hour

// Sweep removes expired events, from memory and from the storage. It should be
// called every few minutes.
func (l *Log) Sweep(ctx context.Context) error {
	now := l.now()
	l.index.sweep(now)
	over := now.Add(-settled).Unix()
	folders := make(map[int64]*folder)
	var packs []string
	if err := l.reading.Hold(ctx, sweepWithin, func(context.Context) error {
		for minute, f := range l.folders {
			if f.closed && f.until < over {
				folders[minute] = f // closed folders do not change
			}
		}
		for name, p := range l.packs {
			if p.whole && p.until < over || !p.whole && now.Sub(p.first) > brokenFor {
				packs = append(packs, name)
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("sweep logouts: %w", err)
	}
	// The storage may be slow; do not block readers.
	ctx, cancel := context.WithTimeout(ctx, sweepWithin)
	defer cancel()
	var errs []error
	storage := l.storage()
	for _, name := range packs {
		errs = append(errs, clusterstore.IgnoreAbsent(storage.Delete(ctx, logRoot+"/"+name)))
	}
	for minute, f := range folders {
		for name := range f.files {
			errs = append(errs, clusterstore.IgnoreAbsent(storage.Delete(ctx, folderOf(minute)+"/"+name)))
		}
		errs = append(errs, clusterstore.IgnoreAbsent(storage.Delete(ctx, folderOf(minute))))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...) // the next Poll forgets deleted files
}
