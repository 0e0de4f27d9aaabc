package callback

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// This file shares outcomes among nodes: one sealed file for each login, in a
// folder named after the minute, so that names alone show what has expired.

const (
	root           = "oidc_rp/callback"
	outcomeVersion = 1
)

func fileKey(minute int64, name string) string {
	return fmt.Sprintf("%s/%d/%s", root, minute, name)
}

func (c *Coordinator) store(ctx context.Context, storage clusterstore.Storage, a *Attempt, outcome *Outcome) error {
	sealed, err := a.Seal(outcome.encode())
	if err != nil {
		return fmt.Errorf("seal the outcome of a login: %w", err)
	}
	key := fileKey(outcome.at.Unix()/60, a.Name)
	_, err = bounded.Within(context.WithoutCancel(ctx), storeWithin, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, storage.Store(ctx, key, sealed)
	})
	if err != nil {
		return fmt.Errorf("store the outcome of a login: %w", err)
	}
	return nil
}

// look is lookUp with a timeout that holds even if the storage hangs.
func (c *Coordinator) look(ctx context.Context, storage clusterstore.Storage, a *Attempt) (found Outcome, ok bool, err error) {
	seen, err := bounded.Within(ctx, lookWithin, func(ctx context.Context) (*Outcome, error) {
		found, ok, err := c.lookUp(ctx, storage, a)
		if !ok {
			return nil, err
		}
		return &found, err
	})
	if err != nil || seen == nil {
		return Outcome{}, false, err
	}
	return *seen, true, nil
}

// lookUp returns an outcome that another node, or this one before a restart, has
// stored. Files that do not open are ignored.
func (c *Coordinator) lookUp(ctx context.Context, storage clusterstore.Storage, a *Attempt) (found Outcome, ok bool, err error) {
	now := c.now()
	last := int64(-1)
	for _, at := range []time.Time{now.Add(-outcomeKept), now, now.Add(clusterstore.ClocksDiffer)} {
		minute := at.Unix() / 60
		if minute == last {
			continue
		}
		last = minute
		sealed, err := storage.Load(ctx, fileKey(minute, a.Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Outcome{}, false, fmt.Errorf("load the outcome of a login: %w", err)
		}
		plain, err := a.Open(sealed)
		if err != nil || found.decode(plain) != nil {
			continue
		}
		if now.Sub(found.at).Abs() >= outcomeKept {
			return Outcome{Err: ErrRepeated, at: found.at}, true, nil
		}
		return found, true, nil
	}
	return Outcome{}, false, nil
}

func (o *Outcome) encode() []byte {
	w := wire.Writer{B: []byte{outcomeVersion}}
	w.Millis(o.at)
	w.Text(o.Location)
	w.Text(o.Code)
	w.Text(o.ErrorID)
	for _, line := range o.Cookies {
		w.Text(line)
	}
	return w.B
}

var errNoOutcome = errors.New("not the outcome of a login")

func (o *Outcome) decode(plain []byte) error {
	r := wire.Reader{S: string(plain)}
	if r.Byte() != outcomeVersion {
		return errNoOutcome
	}
	*o = Outcome{at: r.Millis(), Location: r.Text(), Code: r.Text(), ErrorID: r.Text()}
	for r.S != "" && !r.Bad {
		o.Cookies = append(o.Cookies, r.Text())
	}
	if r.Bad {
		return errNoOutcome
	}
	return nil
}

// Sweep deletes expired outcomes from memory and storage. It should be called every
// minute. It does nothing on a node that has seen no login.
func (c *Coordinator) Sweep(ctx context.Context) error {
	if !c.used.Load() {
		return nil
	}
	c.forget()
	return clusterstore.SweepMinutes(ctx, c.storage(), root, c.now(), outcomeKept)
}
