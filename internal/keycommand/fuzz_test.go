package keycommand

import (
	"errors"
	"testing"
	"time"
)

// An accepted expiry is in the future, and its printed form can be parsed.
func FuzzExpiry(f *testing.F) {
	for _, text := range []string{"", "2030-01-31T12:00:00Z", "2029-01-31T12:00:00Z", "2030-01-31T12:00:00.5+23:59", "90d", "-1h", "1h", "9999-12-31T23:59:59Z", "2030-13-01T00:00:00Z", "never"} {
		f.Add(text)
	}
	c := &Command{Now: func() time.Time { return now }, ParseDuration: func(text string) (time.Duration, error) {
		if len(text) > 8 {
			return 0, errors.New("too long")
		}
		return time.ParseDuration(text)
	}}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := c.expiry(text)
		if err != nil || text == "" {
			if !at.IsZero() {
				t.Errorf("%q: expected no time, seen %v, %v", text, at, err)
			}
			return
		}
		if !at.After(now) {
			t.Errorf("%q: expected a time in the future, seen %v", text, at)
		}
		again, err := c.expiry(at.Format(time.RFC3339))
		if at.Sub(now) >= time.Second && (err != nil || !again.Equal(at.Truncate(time.Second))) {
			t.Errorf("%q: %v comes back as %v, %v", text, at, again, err)
		}
	})
}
