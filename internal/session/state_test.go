package session

import (
	"testing"
	"time"
)

var began = time.UnixMilli(1_790_000_000_123)

func TestStatesOfASession(t *testing.T) {
	t.Parallel()
	minute := func(n int) time.Time { return began.Add(time.Duration(n) * time.Minute) }
	for _, row := range []struct {
		name          string
		s             Session
		updated, asOf time.Time
	}{
		{"after the sign-in", Session{SignedIn: began}, time.Time{}, began},
		{"after the sign-in, with a grant", Session{SignedIn: began, Grant: Grant{RefreshToken: "rt", Issued: began}}, began, began},
		{"after a refresh", Session{SignedIn: began, Grant: Grant{RefreshToken: "rt", Issued: minute(5)}}, minute(5), minute(5)},
		{"after a recheck without a grant", Session{SignedIn: began, Confirmed: minute(5)}, minute(5), minute(5)},
		{"after a refresh that brought tokens alone", Session{SignedIn: began, Confirmed: minute(5), Grant: Grant{RefreshToken: "rt", Issued: minute(9)}}, minute(9), minute(5)},
	} {
		if got := row.s.Updated(); !got.Equal(row.updated) {
			t.Errorf("%s: expected to be updated at %v, seen %v", row.name, row.updated, got)
		}
		if got := row.s.ClaimsAsOf(); !got.Equal(row.asOf) {
			t.Errorf("%s: expected claims as of %v, seen %v", row.name, row.asOf, got)
		}
		later := row.s
		if later.DateAfter(minute(20)); !later.Updated().After(minute(20)) {
			t.Errorf("%s: expected the state to be dated after the one before, seen %v", row.name, later.Updated())
		}
		dropped := row.s
		if dropped.DropGrant(); !dropped.ClaimsAsOf().Equal(row.asOf) || dropped.Grant != (Grant{}) {
			t.Errorf("%s: expected claims as of %v and no grant, seen %v and %+v", row.name, row.asOf, dropped.ClaimsAsOf(), dropped.Grant)
		}
	}
}

// The time of the last recheck is encoded in each version. In the shortest one, it takes at
// most nine bytes.
func TestConfirmedIsWritten(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Session{
		"the shortest version": {Subject: "ada", SignedIn: began, Expires: time.Unix(1_790_043_200, 0), Seen: time.Unix(1_790_000_000, 0), Requested: NamesOf("sub", "x")},
		"an earlier version":   {Subject: "ada", SignedIn: began, Expires: time.Unix(1_790_043_200, 0), Seen: time.Unix(1_790_000_000, 0)},
	} {
		without := len(s.Encode())
		for _, at := range []time.Time{began.Add(15 * time.Minute), began.Add(-time.Hour), began.Add(400 * 24 * time.Hour)} {
			s.Confirmed = at
			var got Session
			encoded := s.Encode()
			if err := got.Decode(encoded); err != nil || !got.Confirmed.Equal(at) {
				t.Errorf("%s: expected %v, seen %v, %v", name, at, got.Confirmed, err)
			}
			if name == "the shortest version" && len(encoded)-without > 9 {
				t.Errorf("%s: expected at most 9 bytes more, seen %d", name, len(encoded)-without)
			}
		}
	}
}

// The key is dropped with the last token that is bound to it.
func TestDroppingAGrantDropsItsKey(t *testing.T) {
	t.Parallel()
	for accessToken, want := range map[string]string{"": "", "kept for rechecks": boundKey} {
		s := Session{SignedIn: began, AccessToken: accessToken, TokenKey: boundKey, Grant: Grant{RefreshToken: "r", Issued: began}}
		if s.DropGrant(); s.TokenKey != want {
			t.Errorf("with the access token %q: expected the key %q, seen %q", accessToken, want, s.TokenKey)
		}
	}
}
