package oidcrp

import (
	"fmt"
	"strings"
	"testing"
)

// A storage in which nothing of ours is kept is not asked for anything: each
// question costs money at some.
func TestAStorageIsRequiredForWhatIsKeptThere(t *testing.T) {
	t.Parallel()
	secret := "secret " + strings.Repeat("s", 32) + "\n"
	for _, tc := range []struct {
		session           string
		keys, revocations bool
	}{
		{"", true, true},
		{secret, false, true},
		{"store memory\n", true, false},
		{"store memory\n" + secret, false, false},
		{"store storage\n" + secret, false, true},
	} {
		lines := ""
		if tc.session != "" {
			lines = "session {\n" + tc.session + "}\n"
		}
		s := started(t, fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
		%s
	}
}
`, lines)).storageState
		s.mu.Lock()
		d := s.required()
		s.mu.Unlock()
		if d.rotate > 0 != tc.keys || d.revocations != tc.revocations {
			t.Errorf("%q: expected keys %v and revocations %v, seen %+v", tc.session, tc.keys, tc.revocations, d)
		}
	}
}
