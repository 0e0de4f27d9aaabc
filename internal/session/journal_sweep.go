package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// brokenFor is how long a pack may be broken before it is removed.
const brokenFor = 24 * time.Hour

// Sweep forgets the facts that can end nothing any more, here and in the
// storage. It is to be called every few minutes.
func (j *Journal) Sweep(ctx context.Context) error {
	now := j.now()
	j.known.sweep(now)
	over := now.Add(-settled).Unix()
	folders := make(map[int64]*folder)
	var packs []string
	if err := clusterstore.Hold(ctx, j.reading, sweepWithin, func(context.Context) error {
		for minute, f := range j.folders {
			if f.closed && f.until < over {
				folders[minute] = f // which nobody changes any more
			}
		}
		for name, p := range j.packs {
			if p.whole && p.until < over || !p.whole && now.Sub(p.first) > brokenFor {
				packs = append(packs, name)
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("sweep logouts: %w", err)
	}
	// The storage may take its time; others go on reading meanwhile.
	ctx, cancel := context.WithTimeout(ctx, sweepWithin)
	defer cancel()
	var errs []error
	storage := j.storage()
	for _, name := range packs {
		errs = append(errs, clusterstore.IgnoreAbsent(storage.Delete(ctx, journalRoot+"/"+name)))
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
	return errors.Join(errs...) // what is gone is forgotten by the next Poll
}
