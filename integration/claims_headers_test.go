package integration_test

import (
	"net/http"
	"testing"
)

// What one request puts over a placeholder of ours is not what the next one's
// application is told.
func TestAHeaderIsNotWhatAnotherRequestMadeOfIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `vars /odd http.auth.user.id somebody
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Id {http.auth.user.id}
		header X-Path {http.request.uri.path}
		header X-Groups groups
	}
}`)

	b := r.browser()
	for _, path := range []string{"/odd", "/usual", "/usual2", "/odd", "/usual"} {
		if p := b.open(path); p.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", path, p.StatusCode)
		}
		header, _ := r.upstream.got()
		if header.Get("X-Id") != "alice" || header.Get("X-Path") != path {
			t.Errorf("%s: the application is told %q of %q", path, header.Get("X-Id"), header.Get("X-Path"))
		}
	}
}
