package sessionstore

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
)

func TestASessionThatEndedByTimeWasNotRevoked(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		s := n.session()
		s.Subject, s.SID = "ended-"+t.Name(), "sid-"+t.Name()
		n.create(s)
		last := s.AfterItsEnd()
		ended := func(name string, want bool) {
			t.Helper()
			got, err := n.EndedByTime(t.Context(), &last, n.now)
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s: expected ended by time %v, seen %v", name, want, got)
			}
		}
		begin := n.now
		ended("at once", false)
		n.now = begin.Add(testIdle)
		ended("idle", true)
		n.now = begin.Add(testLifetime + 2*time.Hour)
		ended("after its lifetime", true)
		at, until := begin.Add(time.Minute), n.now.Add(time.Hour)
		if err := n.Revocations().Add(t.Context(), revocation.ForSID(issuerOf(s), s.SID+"x", at, until)); err != nil {
			t.Fatal(err)
		}
		ended("after another was revoked", true)
		if err := n.Revocations().Add(t.Context(), revocation.ForSID(issuerOf(s), s.SID, at, until)); err != nil {
			t.Fatal(err)
		}
		ended("after it was revoked", false)
	})
}
