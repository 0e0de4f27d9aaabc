package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestPrivatePageLeadsThroughTheLoginBackToItself(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := r.browser()
	p := b.open("/reports?year=2026&q=a%20b")
	if p.StatusCode != http.StatusOK || p.body != "application sees alice" {
		t.Fatalf("status %d, body %q\n%s", p.StatusCode, p.body, r.logs())
	}
	if !strings.HasSuffix(p.url, "/reports?year=2026&q=a%20b") {
		t.Errorf("came back to %s", p.url)
	}
	header, _ := r.upstream.got()
	if got := header["Cookie"]; got != nil {
		t.Errorf("our cookies reached the application: %q", got)
	}
	if got := p.Header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("Cache-Control is %q", got)
	}
	if r.upstream.count() != 1 {
		t.Errorf("the application was asked %d times", r.upstream.count())
	}
	t.Log(b.cookies())
}
