package sessionstore

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// A revocation outlasts every copy of the session's cookie, even one from before a refresh
// that shortened the session.
func TestRevocationsLastAsLongAsAnyCookieOfTheSession(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	b := &base{Config: Config{Lifetime: time.Hour}}
	for name, row := range map[string]struct{ lasts, want time.Duration }{
		"a usual session":                       {time.Hour, time.Hour},
		"a shortened session":                   {time.Minute, time.Hour},
		"a session of a longer lifetime before": {2 * time.Hour, 2 * time.Hour},
	} {
		s := &session.Session{SignedIn: began, Expires: began.Add(row.lasts)}
		if got := b.revocationExpiry(s).Sub(began); got != row.want+RevocationMargin {
			t.Errorf("%s: expected the revocation to last %v, seen %v", name, row.want+RevocationMargin, got)
		}
	}
}
