package handover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// Storage is what login hosts and sites share: the records of tickets, each of
// which can be taken once, the sites that users have confirmed, and lists of
// people.
type Storage interface {
	// Put stores a record under a new name.
	Put(ctx context.Context, name string, record []byte) error
	// Take removes and returns a record, or nil if there is none. Of concurrent
	// calls for one name, on all nodes, at most one gets the record.
	Take(ctx context.Context, name string) (record []byte, err error)
	// Knows reports whether a site was noted.
	Knows(ctx context.Context, origin string) (bool, error)
	// Note records that a user has confirmed a site.
	Note(ctx context.Context, origin string) error
	// List returns a list of people; nil if there is none.
	List(ctx context.Context, name string) (list []byte, err error)
	// Change replaces a list by what change returns, under a lock that all nodes
	// share.
	Change(ctx context.Context, name string, change func(list []byte) ([]byte, error)) error
}

const (
	root     = "oidc_rp/handover"
	siteRoot = "oidc_rp/handover-sites"
	listRoot = "oidc_rp/handover-people"
	// taken is the suffix of a marker's key. The record beside it is taken, even if
	// it could not be deleted.
	taken = "-taken"

	lookWithin = 5 * time.Second
	lockWithin = 10 * time.Second
)

// siteName returns the name of a site in keys, whose length and characters are
// limited.
func siteName(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:16])
}

// Files is a Storage in the storage that nodes share, for sessions in cookies or in
// such a storage. It is safe for concurrent use.
type Files struct {
	used    atomic.Bool // whether this node has seen a handover
	storage func() clusterstore.Storage
	now     func() time.Time
}

// NewFiles returns Files in a storage. It calls storage at each use, since the
// storage may change with the configuration.
func NewFiles(storage func() clusterstore.Storage, now func() time.Time) *Files {
	return &Files{storage: storage, now: now}
}

func fileKey(minute int64, name string) string { return fmt.Sprintf("%s/%d/%s", root, minute, name) }

// within runs work that continues if the browser disconnects, and does not wait for
// a storage that hangs.
func within[T any](ctx context.Context, what string, work func(context.Context) (T, error)) (T, error) {
	value, err := bounded.Within(context.WithoutCancel(ctx), lookWithin, work)
	if err != nil {
		return value, fmt.Errorf("%s: %w", what, err)
	}
	return value, nil
}

// Put implements Storage.
func (f *Files) Put(ctx context.Context, name string, record []byte) error {
	f.used.Store(true)
	_, err := within(ctx, "store a handover", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.storage().Store(ctx, fileKey(f.now().Unix()/60, name), record)
	})
	return err
}

// Take implements Storage. It holds a lock of all nodes, and the first caller that
// writes the marker gets the record: a storage need not report whether a delete
// removed anything.
func (f *Files) Take(ctx context.Context, name string) ([]byte, error) {
	storage := f.storage()
	// Clients can send any name, so lock only records that exist.
	key, err := within(ctx, "look up a handover", func(ctx context.Context) (string, error) { return f.find(ctx, storage, name) })
	if key == "" || err != nil {
		return nil, err
	}
	f.used.Store(true)
	unlock, err := clusterstore.LockWithin(context.WithoutCancel(ctx), storage, root+"/"+name, lockWithin)
	if err != nil {
		return nil, fmt.Errorf("take a handover: %w", err)
	}
	defer unlock()
	return within(ctx, "take a handover", func(ctx context.Context) ([]byte, error) { return takeFile(ctx, storage, key) })
}

// find returns the key of a record; "" if there is none.
func (f *Files) find(ctx context.Context, storage clusterstore.Storage, name string) (key string, err error) {
	last, now := int64(-1), f.now()
	for _, at := range []time.Time{now.Add(-2 * TicketLifetime), now.Add(-TicketLifetime), now, now.Add(clusterstore.ClocksDiffer)} {
		minute := at.Unix() / 60
		if minute == last {
			continue
		}
		last, key = minute, fileKey(minute, name)
		if _, err := storage.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
	}
	return "", nil
}

// takeFile takes a record. The caller holds the lock.
func takeFile(ctx context.Context, storage clusterstore.Storage, key string) ([]byte, error) {
	record, err := storage.Load(ctx, key)
	if err != nil {
		return nil, clusterstore.IgnoreAbsent(err)
	}
	if _, err := storage.Load(ctx, key+taken); !errors.Is(err, fs.ErrNotExist) {
		return nil, err // without an error, it was taken before
	}
	if err := storage.Store(ctx, key+taken, []byte{1}); err != nil {
		return nil, err
	}
	_ = storage.Delete(ctx, key) // the marker is sufficient; Sweep deletes both
	return record, nil
}

// Knows implements Storage.
func (f *Files) Knows(ctx context.Context, origin string) (bool, error) {
	return within(ctx, "look up a site", func(ctx context.Context) (bool, error) {
		_, err := f.storage().Load(ctx, siteRoot+"/"+siteName(origin))
		return err == nil, clusterstore.IgnoreAbsent(err)
	})
}

// Note implements Storage.
func (f *Files) Note(ctx context.Context, origin string) error {
	_, err := within(ctx, "note a site", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.storage().Store(ctx, siteRoot+"/"+siteName(origin), []byte(origin+"\n"))
	})
	return err
}

// List implements Storage.
func (f *Files) List(ctx context.Context, name string) ([]byte, error) {
	return within(ctx, "load who was handed over", func(ctx context.Context) ([]byte, error) {
		list, err := f.storage().Load(ctx, listRoot+"/"+name)
		return list, clusterstore.IgnoreAbsent(err)
	})
}

// Change implements Storage.
func (f *Files) Change(ctx context.Context, name string, change func([]byte) ([]byte, error)) error {
	storage, key := f.storage(), listRoot+"/"+name
	unlock, err := clusterstore.LockWithin(context.WithoutCancel(ctx), storage, key, lockWithin)
	if err != nil {
		return fmt.Errorf("change who was handed over: %w", err)
	}
	defer unlock()
	list, err := f.List(ctx, name)
	if err == nil {
		list, err = change(list)
	}
	if err != nil {
		return err
	}
	_, err = within(ctx, "change who was handed over", func(ctx context.Context) (struct{}, error) {
		if list == nil {
			return struct{}{}, clusterstore.IgnoreAbsent(storage.Delete(ctx, key))
		}
		return struct{}{}, storage.Store(ctx, key, list)
	})
	return err
}

// Sweep deletes expired records. It should be called every minute. It does nothing
// on a node that has seen no handover.
func (f *Files) Sweep(ctx context.Context) error {
	if !f.used.Load() {
		return nil
	}
	return clusterstore.SweepMinutes(ctx, f.storage(), root, f.now(), 2*TicketLifetime)
}

// RecordStore is the session store that Records uses. Its contract is that of
// store.Store.
type RecordStore interface {
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)
	Save(ctx context.Context, key string, record []byte, expires time.Time) error
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// Records is a Storage in a session store, for nodes that share no other storage.
// It is safe for concurrent use.
type Records struct {
	store RecordStore
	now   func() time.Time
}

// NewRecords returns a Storage in a session store.
func NewRecords(store RecordStore, now func() time.Time) *Records { return &Records{store, now} }

const (
	recordFolder = "handover/"
	siteFolder   = "handover-site/"
	listFolder   = "handover-people/"
	// siteExpires is how long a site stays noted in a store, whose records expire,
	// and listExpires how long a list stays, which is longer than any session in
	// it.
	siteExpires = 400 * 24 * time.Hour
	listExpires = 401 * 24 * time.Hour
)

// burnt replaces a record that was taken, or an empty list.
var burnt = []byte{0}

// expires returns when a record may be deleted, which is after its lifetime by any
// clock.
func (r *Records) expires() time.Time { return r.now().Add(3 * TicketLifetime) }

// Put implements Storage.
func (r *Records) Put(ctx context.Context, name string, record []byte) error {
	if err := r.store.Save(context.WithoutCancel(ctx), recordFolder+name, record, r.expires()); err != nil {
		return fmt.Errorf("store a handover: %w", err)
	}
	return nil
}

// Take implements Storage. Of concurrent calls that replace the record, only one
// succeeds.
func (r *Records) Take(ctx context.Context, name string) ([]byte, error) {
	ctx = context.WithoutCancel(ctx)
	record, err := r.load(ctx, recordFolder+name)
	if err != nil || record == nil || string(record) == string(burnt) {
		return nil, err
	}
	done, err := r.store.Replace(ctx, recordFolder+name, record, burnt, r.expires())
	if err != nil {
		return nil, fmt.Errorf("take a handover: %w", err)
	}
	if !done {
		return nil, nil
	}
	return record, nil
}

func (r *Records) load(ctx context.Context, key string) ([]byte, error) {
	records, err := r.store.Reload(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("load a handover: %w", err)
	}
	if len(records) != 1 {
		return nil, errors.New("load a handover: the store returned another number of records than was asked for")
	}
	return records[0], nil
}

// Knows implements Storage.
func (r *Records) Knows(ctx context.Context, origin string) (bool, error) {
	record, err := r.load(ctx, siteFolder+siteName(origin))
	return record != nil, err
}

// Note implements Storage.
func (r *Records) Note(ctx context.Context, origin string) error {
	if err := r.store.Save(context.WithoutCancel(ctx), siteFolder+siteName(origin), []byte(origin), r.now().Add(siteExpires)); err != nil {
		return fmt.Errorf("note a site: %w", err)
	}
	return nil
}

// List implements Storage.
func (r *Records) List(ctx context.Context, name string) ([]byte, error) {
	return r.load(ctx, listFolder+name)
}

// Change implements Storage.
func (r *Records) Change(ctx context.Context, name string, change func([]byte) ([]byte, error)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockWithin)
	defer cancel()
	unlock, err := r.store.Lock(ctx, listFolder+name)
	if err != nil {
		return fmt.Errorf("change who was handed over: %w", err)
	}
	defer unlock()
	list, err := r.load(ctx, listFolder+name)
	if err == nil {
		list, err = change(list)
	}
	if err != nil {
		return err
	}
	if list == nil {
		list = burnt
	}
	if err := r.store.Save(ctx, listFolder+name, list, r.now().Add(listExpires)); err != nil {
		return fmt.Errorf("change who was handed over: %w", err)
	}
	return nil
}
