package identity

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestBound(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 500e6)
	for _, row := range []struct {
		name, expiry string
		want         time.Duration // of a session of an hour
		over         bool
		findings     int
	}{
		{name: "none", expiry: `null`, want: time.Hour},
		{name: "sooner", expiry: `1700000600`, want: 10*time.Minute - 500*time.Millisecond},
		{name: "later", expiry: `1700009000`, want: time.Hour},
		{name: "a fraction", expiry: `1700000600.9`, want: 10*time.Minute - 500*time.Millisecond},
		{name: "this second", expiry: `1700000000.9`, over: true},
		{name: "past", expiry: `1699999999`, over: true},
		{name: "zero", expiry: `0`, over: true},
		{name: "a string", expiry: `"1700000600"`, want: time.Hour, findings: 1},
		{name: "an object", expiry: `{}`, want: time.Hour, findings: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := &session.Session{Expires: now.Add(time.Hour)}
			findings, err := Bound(s, members(t, fmt.Sprintf(`{"session_expiry": %s}`, row.expiry)), now)
			if errors.Is(err, ErrSessionOver) != row.over {
				t.Errorf("expected the session to be over: %t, seen %v", row.over, err)
			}
			if got := s.Expires.Sub(now); !row.over && got != row.want {
				t.Errorf("expected %v, seen %v", row.want, got)
			}
			if len(findings) != row.findings {
				t.Errorf("expected %d findings, seen %v", row.findings, findings)
			}
		})
	}
}
