package integration_test

import (
	"net/http"
	"testing"
	"time"
)

// The tests of this file were faults once: an old state of a session took the
// place of a refreshed one in the browser, whose refresh token is spent.

const idleGuard = "session {\nidle_timeout 30m\n}\n"

func TestAnInstanceWithoutRefreshDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\nroute {\noidc_rp {\nprovider corp\n"+usualGuard+idleGuard+"}\noidc_rp {\nprovider corp\n"+idleGuard+"}\nreverse_proxy {upstream}\n}\n}",
		"oidc_rp {\nprovider corp {\n"+options(op.Provider)+"}\n}")
	op.Register(rpURL + "/@app/auth/corp/code")
	b := signedIn(t, r)
	for i := 1; i <= 4; i++ {
		op.at(time.Duration(i)*due, r)
		if p := b.get("/"); p.StatusCode != http.StatusOK || calls(op) != i {
			t.Fatalf("refresh %d: status %d, %d calls\n%s", i, p.StatusCode, calls(op), r.logs())
		}
	}
}

func TestASlowAnswerDoesNotBringAnOldSessionBack(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, idleGuard))
	b := signedIn(t, r)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.upstream.mu.Lock()
	r.upstream.answer = func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
	}
	r.upstream.mu.Unlock()
	op.at(5*time.Minute, r) // a renewal for the idle timeout is due, no refresh
	answered := make(chan *visited, 1)
	go func() { answered <- b.get("/slow") }()
	<-arrived
	op.at(due, r)
	if p := b.get("/"); p.StatusCode != http.StatusOK || calls(op) != 1 {
		t.Fatalf("status %d, %d calls", p.StatusCode, calls(op))
	}
	op.at(due+2*time.Minute, r)
	close(release)
	if p := <-answered; p.StatusCode != http.StatusOK || len(p.Header["Set-Cookie"]) != 0 {
		t.Errorf("the slow answer sets %q", p.Header["Set-Cookie"])
	}
	op.at(2*due, r)
	if p := b.get("/"); p.StatusCode != http.StatusOK || calls(op) != 2 {
		t.Errorf("status %d, %d calls\n%s", p.StatusCode, calls(op), r.logs())
	}
}
