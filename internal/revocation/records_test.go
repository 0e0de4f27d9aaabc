package revocation

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// records is a session store for tests.
type records struct {
	mu      sync.Mutex
	kept    map[string][]byte
	expires map[string]time.Time
	locks   map[string]chan struct{}
	down    error
	calls   int
	between func() // called once, after the next Reload
}

var _ RecordStore = (*records)(nil)

func newRecords() *records {
	return &records{kept: make(map[string][]byte), expires: make(map[string]time.Time), locks: make(map[string]chan struct{})}
}

func (r *records) Load(_ context.Context, keys ...string) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	found := make([][]byte, len(keys))
	for i, key := range keys {
		found[i] = r.kept[key]
	}
	return found, r.down
}

func (r *records) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	found, err := r.Load(ctx, keys...)
	r.mu.Lock()
	between := r.between
	r.between = nil
	r.mu.Unlock()
	if between != nil {
		between()
	}
	return found, err
}

func (r *records) Save(_ context.Context, key string, record []byte, expires time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.down == nil {
		r.kept[key], r.expires[key] = slices.Clone(record), expires
	}
	return r.down
}

func (r *records) Replace(_ context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if before, ok := r.kept[key]; !ok || !bytes.Equal(before, old) || r.down != nil {
		return false, r.down
	}
	r.kept[key], r.expires[key] = slices.Clone(record), expires
	return true, nil
}

func (r *records) Delete(_ context.Context, keys ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		delete(r.kept, key)
	}
	return r.down
}

func (r *records) Lock(ctx context.Context, name string) (func(), error) {
	r.mu.Lock()
	if r.locks[name] == nil {
		r.locks[name] = make(chan struct{}, 1)
	}
	lock := r.locks[name]
	r.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end reports whether the records end a session with this target.
func (r *records) end(t *testing.T, target *Target, signedIn time.Time) bool {
	t.Helper()
	found, err := r.Load(t.Context(), target.Keys()...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return target.since(signedIn).RevokedBy(found)
}

// since returns the target of the same session with another time of sign-in.
func (m *Target) since(signedIn time.Time) *Target {
	other := *m
	other.began.signedIn = signedIn.UnixMilli()
	return &other
}

func endRecord(t *testing.T, r *Records, events ...Event) {
	t.Helper()
	if err := r.Add(t.Context(), events...); err != nil {
		t.Fatalf("End: %v", err)
	}
}

// TestRecordsSayWhatTheLogSays compares records and log for the same events.
func TestRecordsSayWhatTheLogSays(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	nameless := s
	nameless.SID = ""
	at, until := s.SignedIn, s.SignedIn.Add(12*time.Hour)
	for name, events := range map[string][]Event{
		"nothing":                       nil,
		"the subject":                   {ForSubject(issuer, s.Subject, at, until)},
		"the subject, before":           {ForSubject(issuer, s.Subject, at.Add(-time.Millisecond), until)},
		"another subject":               {ForSubject(issuer, "eve", at, until)},
		"the provider's session":        {ForSID(issuer, s.SID, at.Add(time.Hour), until)},
		"the provider's nameless one":   {ForSID(issuer, "", at.Add(time.Hour), until)},
		"the provider's session before": {ForSID(issuer, s.SID, at.Add(-time.Hour), until)},
		"everything":                    {ForAll(at, until)},
		"everything before":             {ForAll(at.Add(-time.Hour), until)},
		"twice, the older one last":     {ForSubject(issuer, s.Subject, at.Add(time.Hour), until), ForSubject(issuer, s.Subject, at.Add(-time.Hour), until)},
	} {
		for _, who := range []*session.Session{&s, &nameless} {
			var k index
			k.add(events...)
			kept := newRecords()
			endRecord(t, NewRecords(kept), events...)
			target := TargetOf(who, issuer)
			want := k.RevokedSession(who, issuer)
			got := kept.end(t, &target, who.SignedIn)
			if got != want {
				t.Errorf("%s: expected revoked %t by the records, seen %t", name, want, got)
			}
			if got := k.Revoked(&target); got != want {
				t.Errorf("%s: expected revoked %t by the log for the target, seen %t", name, want, got)
			}
		}
	}
}

func TestAnEventInARecordIsOnlyStrengthened(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	event := func(at, until time.Duration) Event {
		return ForSubject(issuer, s.Subject, s.SignedIn.Add(at), s.SignedIn.Add(until))
	}
	for name, write := range map[string]func(t *testing.T, r *Records, kept *records){
		"the weaker one last":  func(t *testing.T, r *Records, _ *records) { endRecord(t, r, event(1000e6, 2000e9), event(0, 1000e9)) },
		"the weaker one first": func(t *testing.T, r *Records, _ *records) { endRecord(t, r, event(0, 1000e9), event(1000e6, 2000e9)) },
		"each in one respect": func(t *testing.T, r *Records, _ *records) {
			endRecord(t, r, event(1000e6, 1000e9), event(0, 2000e9))
		},
		"another node writes the first one meanwhile": func(t *testing.T, r *Records, kept *records) {
			kept.between = func() { endRecord(t, r, event(1000e6, 2000e9)) }
			endRecord(t, r, event(0, 1000e9))
		},
		"another node strengthens it meanwhile": func(t *testing.T, r *Records, kept *records) {
			endRecord(t, r, event(0, 1000e9))
			kept.between = func() { endRecord(t, r, event(1000e6, 2000e9)) }
			endRecord(t, r, event(500e6, 1500e9))
		},
		"it expires meanwhile": func(t *testing.T, r *Records, kept *records) {
			endRecord(t, r, event(0, 1000e9))
			kept.between = func() { _ = kept.Delete(t.Context(), recordKey(event(0, 0).key)) }
			endRecord(t, r, event(1000e6, 2000e9))
		},
		"what was there cannot be read": func(t *testing.T, r *Records, kept *records) {
			kept.kept[recordKey(event(0, 0).key)] = []byte("?")
			endRecord(t, r, event(1000e6, 2000e9))
		},
		"many at once": func(t *testing.T, r *Records, _ *records) {
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() { endRecord(t, r, event(time.Duration(i)*125e6, time.Duration(250*i)*1e9)) })
			}
			endRecord(t, r, event(1000e6, 2000e9))
			wg.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := newRecords()
			write(t, NewRecords(kept), kept)
			if len(kept.kept) != 1 {
				t.Fatalf("%d records", len(kept.kept))
			}
			strongest := event(1000e6, 2000e9)
			for key, record := range kept.kept {
				found, ok := decodeRecord(record)
				got := found.all[0]
				// Each event is dated after the existing ones.
				if !ok {
					t.Errorf("expected a record that can be read, seen %x", record)
				}
				if found.count != 1 {
					t.Errorf("expected one event in a record, seen %d", found.count)
				}
				late := got.at - strongest.at.UnixMilli()
				if late < 0 {
					t.Errorf("expected an event at %v or later, seen %+v", strongest.at, got)
				}
				if late > 8 {
					t.Errorf("expected an event 8 ms later than the strongest at most, seen %d ms", late)
				}
				want := strongest.until.Unix()
				if int64(got.until) != want {
					t.Errorf("expected an event until %d, seen %d", want, got.until)
				}
				if seen := kept.expires[key].Unix(); seen != want {
					t.Errorf("expected a record that expires at %d, seen %d", want, seen)
				}
			}
		})
	}
}

func TestARecordThatCannotBeReadEndsTheSession(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	target := TargetOf(&s, issuer)
	event := ForSubject(issuer, s.Subject, s.SignedIn.Add(-time.Hour), s.SignedIn)
	good := encoded(event)
	for name, record := range map[string][]byte{
		"empty": {}, "of another version": append([]byte{datedRecordVersion + 1}, good[1:]...), "of another kind": append([]byte{recordVersion, 2}, good[2:]...),
		"cut short": good[:len(good)-1], "too long": append(slices.Clone(good), 0),
	} {
		for i := range target.Keys() {
			found := make([][]byte, 3)
			found[i] = record
			if !target.RevokedBy(found) {
				t.Errorf("%s: record %d ends nothing", name, i)
			}
		}
	}
	for name, tc := range map[string]struct {
		found [][]byte
		want  bool
	}{
		"an event from before the sign-in": {[][]byte{nil, good, nil}, false},
		"too few records":                  {make([][]byte, 2), true},
		"no records":                       {make([][]byte, 3), false},
	} {
		if got := target.RevokedBy(tc.found); got != tc.want {
			t.Errorf("%s: expected revoked %t, seen %t", name, tc.want, got)
		}
	}
}

func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	kept := newRecords()
	kept.down = errDown
	r := NewRecords(kept)
	if err := r.Add(t.Context(), ForSubject(issuer, s.Subject, time.Now(), s.Expires)); !errors.Is(err, errDown) {
		t.Errorf("End: %v", err)
	}
	kept.down = nil
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Add(gone, ForSubject(issuer, s.Subject, time.Now(), s.Expires)); err != nil {
		t.Errorf("a logout whose caller has gone: %v", err)
	}
	if len(kept.kept) != 1 {
		t.Errorf("a logout whose caller has gone: expected one record, seen %d", len(kept.kept))
	}
}

func TestARecordThatCannotBeReadEndsNoLaterSession(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	target := TargetOf(&s, issuer)
	for i, key := range target.Keys() {
		kept := newRecords()
		r := NewRecords(kept)
		kept.kept[key] = []byte("garbage")
		good := NewRecords(kept)
		endRecord(t, good, ForSID(issuer, "of somebody else", s.SignedIn.Add(time.Hour), s.Expires))
		first := s
		if over, err := r.Begin(t.Context(), &first, issuer, s.SignedIn, s.Expires); over || err != nil {
			t.Fatal(over, err)
		}
		for at, want := range map[time.Duration]bool{0: false, time.Hour: false, -time.Millisecond: true, -time.Hour: true} {
			if ended := kept.end(t, &target, s.SignedIn.Add(at)); ended != want {
				t.Errorf("record %d: what began at %v is ended: %v", i, at, ended)
			}
		}
		// Readable records stay unchanged.
		endRecord(t, r, ForSubject(issuer, s.Subject, s.SignedIn.Add(time.Minute), s.Expires))
		next := s
		if over, err := r.Begin(t.Context(), &next, issuer, s.SignedIn, s.Expires); over || err != nil {
			t.Errorf("record %d: a session that begins now is over: %v, %v", i, over, err)
		}
		if !kept.end(t, &target, s.SignedIn) {
			t.Errorf("record %d: a logout was mended away", i)
		}
		nexts := TargetOf(&next, issuer)
		if kept.end(t, &nexts, next.SignedIn) {
			t.Errorf("record %d: the new session is ended", i)
		}
	}
}

// A store has a record of each session. Deleting it ends the session, so there is no event
// for that.
func TestASingleSessionIsNoEventOfAStore(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	kept := newRecords()
	if err := NewRecords(kept).Add(t.Context(), ForSession(s.ID, s.SignedIn, s.Expires)); !errors.Is(err, errOneSession) {
		t.Errorf("expected the error %v, seen %v", errOneSession, err)
	}
	if len(kept.kept) != 0 {
		t.Errorf("expected no records, seen %d", len(kept.kept))
	}
}

func TestARecordTellsNothing(t *testing.T) {
	t.Parallel()
	s := wholeSession()
	s.Subject, s.SID = "a user's name", "a session's name"
	target := TargetOf(&s, issuer)
	keys := target.Keys()
	kept := newRecords()
	endRecord(t, NewRecords(kept), ForSubject(issuer, s.Subject, s.SignedIn, s.Expires), ForSID(issuer, s.SID, s.SignedIn, s.Expires), ForAll(s.SignedIn, s.Expires))
	if len(kept.kept) != 3 {
		t.Errorf("%d records", len(kept.kept))
	}
	for key, record := range kept.kept {
		if !regexp.MustCompile(`^fact/[0-9a-f]{32}$`).MatchString(key) {
			t.Errorf("expected a key of 32 hexadecimal digits, seen %q", key)
		}
		if !slices.Contains(keys, key) {
			t.Errorf("expected one of the keys %q, seen %q", keys, key)
		}
		for _, secret := range []string{s.Subject, s.SID, "issuer", string(s.ID[:]), strings.TrimPrefix(recordKey(eventKey(s.ID)), "fact/")} {
			if strings.Contains(key+string(record), secret) {
				t.Errorf("%q holds %q", key, secret)
			}
		}
	}
}
