package sessionstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func fuzzRing(f *testing.F) *seal.Ring {
	ring, err := seal.NewRing([]byte(strings.Repeat("s", 40)), []byte(strings.Repeat("o", 40)))
	if err != nil {
		f.Fatal(err)
	}
	return ring
}

// fuzzSecret is a constant, because the processes of a fuzzing run share their inputs.
var fuzzSecret = seal.RecordSecret{1, 2, 3}

// here is additional data.
const here = "cookie https://rp.test"

// FuzzOpenTicket checks that a value from a browser is either a ticket that was sealed
// here, or one of two errors. A sealed ticket can be opened again.
func FuzzOpenTicket(f *testing.F) {
	ring := fuzzRing(f)
	secret := fuzzSecret
	plain := append([]byte{ticketVersion}, secret[:]...)
	good := ring.Seal(seal.ForTicket, here, plain)
	for _, value := range []string{"", "x", good, good[:len(good)-1], good + "A", "1" + good, strings.Repeat("A", 91), ring.Seal(seal.ForSession, here, plain), ring.Seal(seal.ForTicket, "elsewhere", plain)} {
		f.Add(value, plain)
	}
	for _, content := range [][]byte{nil, {ticketVersion}, plain[:32], append(plain[:33:33], 0), make([]byte, 33), bytes.Repeat([]byte{ticketVersion}, 33)} {
		f.Add(good, content)
	}
	f.Fuzz(func(t *testing.T, value string, content []byte) {
		got, _, err := openTicket(ring, here, value)
		switch {
		case err == nil && got.secret == secret:
		case err == nil:
			t.Error("a ticket opens that was never sealed")
		case !errors.Is(err, seal.ErrBroken) && !errors.Is(err, seal.ErrUnknownKey):
			t.Errorf("the error is %v", err)
		}
		// A value that was sealed with the right key need not be a ticket.
		got, stale, err := openTicket(ring, here, ring.Seal(seal.ForTicket, here, content))
		isTicket := len(content) == 33 && content[0] == ticketVersion
		if (err == nil) != isTicket {
			t.Errorf("%d bytes: expected a ticket %t, seen %v", len(content), isTicket, err)
		}
		if stale {
			t.Errorf("%d bytes: expected it not to be stale, seen that it is", len(content))
		}
		if isTicket && err == nil {
			if !bytes.Equal(got.secret[:], content[1:]) {
				t.Errorf("expected the secret %x, seen %x", content[1:], got.secret)
			}
			if !strings.HasPrefix(got.key, recordFolder) {
				t.Errorf("expected a key in %s, seen %q", recordFolder, got.key)
			}
			again, _, err := openTicket(ring, here, got.seal(ring, here)[0][1:])
			if err != nil {
				t.Fatalf("sealed again: %v", err)
			}
			if *again != *got {
				t.Errorf("sealed again: expected %+v, seen %+v", *got, *again)
			}
		}
	})
}

// FuzzReadRecord checks that a record in a store is either a session that was sealed here,
// or an error. Any sealed content can be read, or is refused.
func FuzzReadRecord(f *testing.F) {
	manager := &recordManager{newBase(Config{IssuerOf: issuerOf}), Records{Revoked: revocation.NewRecords(nil)}}
	t, err := newTicket(fuzzSecret)
	if err != nil {
		f.Fatal(err)
	}
	whole := session.Session{ID: session.ID{4, 5, 6}, Provider: "default", Subject: "u-1", Username: "alice", SID: "sid", SignedIn: time.UnixMilli(1), Expires: time.Unix(9, 0), Seen: time.Unix(2, 0)}
	refreshed := whole
	refreshed.Grant = session.Grant{RefreshToken: "r", Issued: time.UnixMilli(3)}
	sealed, err := t.secret.Seal(here, whole.Encode())
	if err != nil {
		f.Fatal(err)
	}
	for _, record := range [][]byte{nil, {1}, sealed, sealed[:len(sealed)-1], append(sealed[:len(sealed):len(sealed)], 0), sealed[1:], make([]byte, 40)} {
		f.Add(record, whole.Encode())
	}
	for _, plain := range [][]byte{nil, {1}, {2}, whole.Encode()[:60], refreshed.Encode(), refreshed.Encode()[:150], append(whole.Encode(), 0xff, 0xff, 0xff)} {
		f.Add(sealed, plain)
	}
	f.Fuzz(func(tt *testing.T, record, plain []byte) {
		if l, err := manager.read(here, &Loaded{ticket: t}, record); err == nil {
			if l.Session.ID != whole.ID {
				tt.Errorf("expected no session of a record that was never sealed, seen %x", l.Session.ID)
			}
			if l.Session.Subject != whole.Subject {
				tt.Errorf("expected no session of a record that was never sealed, seen that of %q", l.Session.Subject)
			}
		}
		record, err := t.secret.Seal(here, plain)
		if err != nil {
			tt.Fatal(err)
		}
		l, err := manager.read(here, &Loaded{ticket: t}, record)
		if err != nil {
			return
		}
		if l.Session.Subject == "" {
			tt.Errorf("%q: expected a subject, seen none", plain)
		}
		if l.keys[0] != t.key {
			tt.Errorf("%q: expected the key %q first, seen %q", plain, t.key, l.keys)
		}
		if len(l.keys) < 2 {
			tt.Errorf("%q: expected keys of revocations, seen %q", plain, l.keys)
		}
		if !bytes.Equal(l.record, record) {
			tt.Errorf("%q: expected its record %x, seen %x", plain, record, l.record)
		}
		if _, err := manager.revoked(context.Background(), l, make([][]byte, len(l.keys))); err != nil {
			tt.Error(err)
		}
	})
}
