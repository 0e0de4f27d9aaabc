package revocation

import (
	"fmt"
	"testing"
)

func TestLiveRemembersTheNewest(t *testing.T) {
	t.Parallel()
	var l Live
	if l.Has(issuer, "a") {
		t.Error("it has what was not seen")
	}
	l.See(issuer, "a")
	for _, tc := range []struct {
		issuer, session string
		want            bool
	}{{issuer, "a", true}, {issuer, "b", false}, {issuer + "a", "", false}, {"other", "a", false}} {
		if got := l.Has(tc.issuer, tc.session); got != tc.want {
			t.Errorf("session %q of %q: expected %t, seen %t", tc.session, tc.issuer, tc.want, got)
		}
	}
	l.Forget(issuer, "a")
	if l.Has(issuer, "a") {
		t.Error("it has what was forgotten")
	}
	const more = maxLive + maxLive/4
	for i := range more {
		l.See(issuer, fmt.Sprint(i))
	}
	if size := l.seen.Len(); size > maxLive {
		t.Errorf("%d are remembered", size)
	}
	for i := more - maxLive/2; i < more; i++ {
		if !l.Has(issuer, fmt.Sprint(i)) {
			t.Fatalf("%d of %d is forgotten", i, more)
		}
	}
}
