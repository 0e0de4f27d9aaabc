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

// This file shares results among nodes: one sealed file for each session, in a
// folder named after the minute, so that names alone show what has expired.

const (
	root          = "oidc_rp/refresh"
	resultVersion = 1
)

// fileName returns the name of a session's file and lock. It does not reveal the
// session's id.
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

// lookUp returns a result that another node has stored. Files that do not open are
// ignored. If the storage fails, it returns an error, since there may be a result.
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
			found, ok = got, true // minutes are in ascending order
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

// Sweep deletes expired results from memory and storage. It should be called every
// minute. It does nothing on a node that has refreshed nothing.
func (c *Coordinator) Sweep(ctx context.Context) error {
	if !c.used.Load() {
		return nil
	}
	c.forget()
	return clusterstore.SweepMinutes(ctx, c.storage(), root, c.now(), resultKept)
}
