package oidcrp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A storage in which nothing of ours is kept is not asked for anything: each
// question costs money at some.
func TestAStorageThatNobodyNeedsIsLeftAlone(t *testing.T) {
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
		op := newOP(t)
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\n"+options(op)+lines+"}\n}")
		s := r.app.storageState
		s.mu.Lock()
		d := s.required()
		s.mu.Unlock()
		if d.rotate > 0 != tc.keys || d.revocations != tc.revocations {
			t.Errorf("%q: %+v", tc.session, d)
		}
		if tc.keys || tc.revocations {
			continue
		}
		// What is asked for in vain leaves a trace in the log only if the storage fails.
		if err := os.WriteFile(filepath.Join(r.storage, "oidc_rp"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if p := r.browser().open("/"); p.StatusCode >= 500 || strings.Contains(r.logs(), "the storage does not answer") {
			t.Errorf("%q: status %d\n%s", tc.session, p.StatusCode, r.logs())
		}
	}
}
