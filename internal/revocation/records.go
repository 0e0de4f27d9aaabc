package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// recordTries is how often a record that others change is written again.
const recordTries = 10

var (
	errOneSession = errors.New("a single session ends with its record")
	errContended  = errors.New("others change the record all the time")
	errCount      = errors.New("the store returned another number of records than was asked for")
)

// RecordStore is what Records needs of a session store; see store.Store.
type RecordStore interface {
	Load(ctx context.Context, keys ...string) (records [][]byte, err error)
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)
	Save(ctx context.Context, key string, record []byte, expires time.Time) error
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// Records is the events of all nodes that share a session store: a record each,
// which expires when the event is over. A caller loads the records of Target.Keys
// together with the session's, and Target.RevokedBy reads them. Nothing is kept
// in memory. It is safe for concurrent use.
type Records struct{ store RecordStore }

// NewRecords returns the events in a store.
func NewRecords(s RecordStore) *Records { return &Records{s} }

// Add stores events and returns when they are stored. It never weakens an event
// that is there already, and dates events after what is known about the same, as
// Log.Add does. It goes on for ten seconds after the caller's context ends.
func (r *Records) Add(ctx context.Context, events ...Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	var errs []error
	for _, event := range events {
		if err := r.add(ctx, event); err != nil {
			errs = append(errs, fmt.Errorf("store the logout: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (r *Records) add(ctx context.Context, event Event) error {
	if !event.later {
		return errOneSession
	}
	key := recordKey(event.key)
	for range recordTries {
		done, absent, err := r.strengthen(ctx, key, event)
		if done || err != nil {
			return err
		}
		if absent {
			if done, err = r.create(ctx, key, event); done || err != nil {
				return err
			}
		}
	}
	return errContended
}

// strengthen changes the record of an event, if there is one that ends less.
func (r *Records) strengthen(ctx context.Context, key string, event Event) (done, absent bool, err error) {
	old, err := r.reload(ctx, key)
	if err != nil || old == nil {
		return false, true, err
	}
	// A record that cannot be read is replaced: ours is of now.
	var next record
	if before, ok := decodeRecord(old); ok {
		next = before
		if newest, known := before.newest(); known && newest >= event.at.UnixMilli() && newest < always-1 {
			event.at = time.UnixMilli(newest + 1)
		}
	}
	next.add(event)
	encoded := next.encode()
	if bytes.Equal(encoded, old) {
		return true, false, nil
	}
	done, err = r.store.Replace(ctx, key, old, encoded, next.until())
	return done, false, err
}

// create saves the record of an event, if there still is none. The lock lets the
// second of two nodes see what the first has written.
func (r *Records) create(ctx context.Context, key string, event Event) (done bool, err error) {
	unlock, err := r.store.Lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	if old, err := r.reload(ctx, key); err != nil || old != nil {
		return false, err
	}
	var next record
	next.add(event)
	return true, r.store.Save(ctx, key, next.encode(), next.until())
}

func (r *Records) reload(ctx context.Context, key string) ([]byte, error) {
	records, err := r.store.Reload(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(records) != 1 {
		return nil, errCount
	}
	return records[0], nil
}

// Begin prepares a new session for the events that are known; see Log.Begin. It
// replaces a record that cannot be read with the end of what began before:
// otherwise one login would follow another, without end.
func (r *Records) Begin(ctx context.Context, s *session.Session, issuer string, login, until time.Time) (over bool, err error) {
	target := TargetOf(s, issuer)
	records, err := r.store.Reload(ctx, target.Keys()...)
	if err != nil {
		return false, fmt.Errorf("load logouts: %w", err)
	}
	if len(records) != target.records() {
		return false, fmt.Errorf("load logouts: %w", errCount)
	}
	var errs []error
	for aspect, key := range target.eventKeys() {
		if records[aspect] == nil {
			continue
		}
		found, ok := decodeRecord(records[aspect])
		if !ok {
			errs = append(errs, r.add(ctx, Event{key: key, at: s.SignedIn.Add(-time.Millisecond), until: until, later: true}))
			records[aspect] = nil
			continue
		}
		for _, m := range found.moments() {
			spare(s, m, aspect, login)
		}
	}
	target.began = beganOf(s)
	return target.RevokedBy(records), errors.Join(errs...)
}

// RevokedBy reports whether one of the records of Keys ended the session. One that
// cannot be read ends it: it is certain that something ended, only not when. The
// same holds if their number is wrong.
func (m *Target) RevokedBy(records [][]byte) (ended bool) {
	if len(records) != m.records() {
		return true
	}
	for aspect, record := range records {
		if record == nil {
			continue
		}
		found, ok := decodeRecord(record)
		if !ok {
			return true
		}
		for _, moment := range found.moments() {
			if moment.ends(&m.began, aspect) {
				return true
			}
		}
	}
	return false
}
