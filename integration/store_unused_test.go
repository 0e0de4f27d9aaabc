package integration_test

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
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(newOP(t))+`
		session {
			store memory
			secret `+strings.Repeat("s", 32)+`
		}
	}
}`)
	// What is asked for in vain leaves a trace in the log only if the storage fails.
	if err := os.WriteFile(filepath.Join(r.storage, "oidc_rp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := r.browser().open("/"); p.StatusCode >= 500 || strings.Contains(r.logs(), "the storage does not answer") {
		t.Errorf("status %d\n%s", p.StatusCode, r.logs())
	}
}
