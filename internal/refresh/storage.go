package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// This file is how nodes learn of each other's results: one sealed file for
// each session, in a folder named after the minute, so that a sweep knows by
// the name what is old.

const (
	root          = "oidc_rp/refresh"
	resultVersion = 1
)

// fileName names a session's file and lock, without revealing the session's id.
func fileName(id session.ID) string {
	sum := sha256.Sum256(append([]byte("refresh "), id[:]...))
	return hex.EncodeToString(sum[:16])
}

func fileKey(minute int64, name string) string {
	return fmt.Sprintf("%s/%d/%s", root, minute, name)
}

func (c *Coordinator) store(ctx context.Context, storage clusterstore.Storage, name string, a *Attempt, got Result) error {
	sealed, err := a.Seal(ctx, got.encode())
	if err != nil {
		return fmt.Errorf("seal the renewed session: %w", err)
	}
	if err := storage.Store(ctx, fileKey(got.at.Unix()/60, name), []byte(sealed)); err != nil {
		return fmt.Errorf("store the renewed session: %w", err)
	}
	return nil
}

// lookUp finds what another node has stored. What does not open counts as
// absent. A storage that fails is an error, since it may hold a result.
func (c *Coordinator) lookUp(ctx context.Context, storage clusterstore.Storage, name string, a *Attempt) (found Result, ok bool, err error) {
	now := c.now()
	last := int64(-1)
	for _, at := range []time.Time{now.Add(-resultKept), now, now.Add(clusterstore.ClocksDiffer)} {
		minute := at.Unix() / 60
		if minute == last {
			continue
		}
		last = minute
		sealed, err := storage.Load(ctx, fileKey(minute, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Result{}, false, fmt.Errorf("load the renewed session: %w", err)
		}
		plain, err := a.Open(ctx, string(sealed))
		if err != nil {
			continue
		}
		if got, err := decodeResult(plain, a.Session.ID); err == nil && got.fits(&a.Session, now) {
			found, ok = got, true // that of the later minute is the later one
		}
	}
	if ok {
		c.remember(a.Session.ID, found)
	}
	return found, ok, nil
}

func (got *Result) encode() []byte {
	w := wire.Writer{B: []byte{resultVersion, 0}}
	w.Millis(got.at)
	w.Millis(got.tried)
	if got.Ended {
		w.B[1] = 1
		return w.B
	}
	w.Raw(got.Session.Encode())
	return w.B
}

var errNoResult = errors.New("not the result of a refresh")

func decodeResult(plain []byte, id session.ID) (got Result, err error) {
	r := wire.Reader{S: string(plain)}
	if r.Byte() != resultVersion {
		return got, errNoResult
	}
	got.Ended = r.Byte() == 1
	got.at, got.tried = r.Millis(), r.Millis()
	if r.Bad {
		return got, errNoResult
	}
	if got.Ended {
		return got, nil
	}
	got.Session = new(session.Session)
	if err := got.Session.Decode([]byte(r.S)); err != nil || got.Session.ID != id {
		return got, errNoResult
	}
	return got, nil
}

// Sweep forgets results that are over, and deletes those that are stored. Call it
// every minute. It does nothing on a node that has refreshed nothing.
func (c *Coordinator) Sweep(ctx context.Context) error {
	if !c.used.Load() {
		return nil
	}
	c.forget()
	return clusterstore.SweepMinutes(ctx, c.storage(), root, c.now(), resultKept)
}
