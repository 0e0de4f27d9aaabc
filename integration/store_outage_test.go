package integration_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A storage that holds nothing for this site gets no requests, since some storages cost
// money for each.
func TestAStorageThatIsNotNeededIsNotUsed(t *testing.T) {
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
	// Failed requests are logged, and a file in place of the folder makes them fail.
	if err := os.WriteFile(filepath.Join(r.storage, "oidc_rp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.browser().open("/")
	if p.StatusCode >= 500 {
		t.Errorf("status %d\n%s", p.StatusCode, r.logs())
	}
	lacks(t, "the log", r.logs(), "the storage does not answer")
}

// On a public page no user notices that the store fails, so the log must say it, once and
// not for each visitor.
func TestAnOutageBehindPublicPagesIsLogged(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, "public /open/*", "")
	r := s.nodes[0]
	cookies := s.signIn(r, "alice").cookieHeader()
	s.records().fail(calling, errors.New("it is down"))
	for range 3 {
		p := r.rawGet("/open/page", "Cookie: "+cookies)
		check(required{t}, p).status(http.StatusOK)
	}
	lines := 0
	for line := range strings.Lines(r.logs()) {
		if strings.Contains(line, "the storage does not answer") && strings.Contains(line, `"level":"error"`) {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("it is logged %d times", lines)
	}
}
