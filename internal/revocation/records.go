package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// recordTries is how often writing is retried if other nodes change a record
// concurrently.
const recordTries = 10

var (
	errOneSession = errors.New("a single session ends with its record")
	errContended  = errors.New("others change the record all the time")
	errCount      = errors.New("the store returned another number of records than was asked for")
)

// RecordStore is the session store that Records uses; see store.Store.
type RecordStore interface {
	Load(ctx context.Context, keys ...string) (records [][]byte, err error)
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)
	Save(ctx context.Context, key string, record []byte, expires time.Time) error
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// Records holds the events of all nodes that share a session store: a record for
// each, which expires with the event. Callers load the records of Target.Keys
// together with the session's, and pass them to Target.RevokedBy. Nothing is kept
// in memory. It is safe for concurrent use.
type Records struct{ store RecordStore }

// NewRecords returns the Records in a store.
func NewRecords(s RecordStore) *Records { return &Records{s} }

// Add stores events and returns when they are stored. It never weakens an existing
// event, and dates events after those known with the same key, like Log.Add. It
// continues for up to ten seconds after the caller's context ends.
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

// strengthen updates the record of an event, unless that already ends as much.
// absent reports that there is no record.
func (r *Records) strengthen(ctx context.Context, key string, event Event) (done, absent bool, err error) {
	old, err := r.reload(ctx, key)
	if err != nil || old == nil {
		return false, true, err
	}
	// A record that cannot be read is replaced, since the new event is later.
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

// create saves the record of an event if there still is none. The lock makes the
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
// replaces a record that cannot be read by one that ends earlier sessions.
// Otherwise the new session would end as well, and one login would follow another.
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

// RevokedBy reports whether one of the records of Keys ended the session. A record
// that cannot be read ends it: something ended, but it is unknown when. So does a
// wrong number of records.
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
