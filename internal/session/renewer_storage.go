package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// This file is what nodes tell each other of renewals: a sealed file for each
// session, in the folder of the minute, so that what is old is known by name.

const (
	renewalRoot    = "oidc_rp/refresh"
	renewalVersion = 1
	// clocksDiffer is by how much nodes' clocks may.
	clocksDiffer = 5 * time.Second
)

// renewalName names a session's file and lock; it tells nothing of the id.
func renewalName(id ID) string {
	sum := sha256.Sum256(append([]byte("refresh "), id[:]...))
	return hex.EncodeToString(sum[:16])
}

func renewalKey(minute int64, name string) string {
	return fmt.Sprintf("%s/%d/%s", renewalRoot, minute, name)
}

func (r *Renewer) store(ctx context.Context, storage LockStorage, name string, a *Attempt, got Renewal) error {
	sealed, err := a.Seal(ctx, got.encode())
	if err != nil {
		return fmt.Errorf("seal the renewed session: %w", err)
	}
	if err := storage.Store(ctx, renewalKey(got.at.Unix()/60, name), []byte(sealed)); err != nil {
		return fmt.Errorf("store the renewed session: %w", err)
	}
	return nil
}

// lookUp finds what another node has left. What does not open is as good as
// absent; a storage that fails is an error, since nobody knows then.
func (r *Renewer) lookUp(ctx context.Context, storage LockStorage, name string, a *Attempt) (found Renewal, ok bool, err error) {
	now := r.now()
	last := int64(-1)
	for _, at := range []time.Time{now.Add(-renewalKept), now, now.Add(clocksDiffer)} {
		minute := at.Unix() / 60
		if minute == last {
			continue
		}
		last = minute
		sealed, err := storage.Load(ctx, renewalKey(minute, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Renewal{}, false, fmt.Errorf("load the renewed session: %w", err)
		}
		plain, err := a.Open(ctx, string(sealed))
		if err != nil {
			continue
		}
		if got, err := decodeRenewal(plain, a.Session.ID); err == nil && got.fits(&a.Session, now) {
			found, ok = got, true // the later minute's is the later one
		}
	}
	if ok {
		r.remember(a.Session.ID, found)
	}
	return found, ok, nil
}

func (got *Renewal) encode() []byte {
	w := writer{[]byte{renewalVersion, 0}}
	w.millis(got.at)
	w.millis(got.tried)
	if got.Ended {
		w.b[1] = 1
		return w.b
	}
	w.raw(got.Session.Encode())
	return w.b
}

func decodeRenewal(plain []byte, id ID) (got Renewal, err error) {
	r := reader{s: string(plain)}
	if r.byte() != renewalVersion {
		return got, ErrNone
	}
	got.Ended = r.byte() == 1
	got.at, got.tried = r.millis(), r.millis()
	if r.bad {
		return got, ErrNone
	}
	if got.Ended {
		return got, nil
	}
	got.Session = new(Session)
	if err := got.Session.Decode([]byte(r.s)); err != nil || got.Session.ID != id {
		return got, ErrNone
	}
	return got, nil
}

// Sweep removes what nobody asks for any more from the storage. It is to be
// called every minute, and does nothing on a node that has renewed nothing.
func (r *Renewer) Sweep(ctx context.Context) error {
	if !r.used.Load() {
		return nil
	}
	return sweepMinutes(ctx, r.storage(), renewalRoot, r.now())
}

// sweepMinutes removes folders below root whose minute is so long over that
// nobody asks for what is in them.
func sweepMinutes(ctx context.Context, storage Storage, root string, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, sweepWithin)
	defer cancel()
	minutes, err := listMinutes(ctx, storage, root)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", root, err)
	}
	var errs []error
	for _, minute := range minutes {
		if now.Sub(time.Unix((minute+1)*60, 0)) <= max(renewalKept, callbackKept)+clocksDiffer {
			continue
		}
		folder := fmt.Sprintf("%s/%d", root, minute)
		names, err := list(ctx, storage, folder, false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range children(names, folder) {
			errs = append(errs, ignoreAbsent(storage.Delete(ctx, folder+"/"+name)))
		}
		errs = append(errs, ignoreAbsent(storage.Delete(ctx, folder)))
	}
	return errors.Join(errs...)
}
