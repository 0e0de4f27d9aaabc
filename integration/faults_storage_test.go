package integration_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A disk is full or cannot be written. Sessions and logins continue, because they only need what
// is in memory. A logout that cannot be stored reports an error. No good file is damaged.
//
// See docs/faults.md, row F32.
func TestAStorageThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EACCES, syscall.EIO} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			op, folder := newOP(t), storageDir(t)
			option, trouble := newTrouble(folder)
			site := `
http://rp.test {
	` + protectedBy(op, "end_session off") + `
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`
			r := newHarnessAt(t, folder, site, option)
			b, leaving := signedIn(t, r), signedIn(t, r)
			keys := filepath.Join(folder, "oidc_rp", "keys.json")
			before, err := os.ReadFile(keys)
			succeeds(required{t}, "the file of the keys", err)

			trouble.set(nil, &os.PathError{Op: "write", Path: folder, Err: cause})
			check(t, b.get("/page"), "a session").status(http.StatusOK)
			r.signsIn()
			status, text, _ := r.admin("POST", "/oidc_rp/keys/rotate", "")
			equal(t, "the status of a rotation of the keys", status, http.StatusServiceUnavailable)
			contains(t, "the answer to a rotation of the keys", text, "could not be kept")
			check(t, leaving.get("/Special:UserLogout"), "a logout").status(http.StatusSeeOther).leadsTo("/?auth_error=logout_failed")
			equal(t, "the number of cookies after the logout", len(leaving.cookies()), 0)
			contains(t, "the log", r.logs(), cause.Error())

			now, err := os.ReadFile(keys)
			succeeds(required{t}, "the file of the keys", err)
			equal(t, "the file of the keys is as it was", bytes.Equal(before, now), true)
			trouble.set(nil, nil)
			check(t, b.open("/Special:UserLogout"), "a logout when there is room again").status(http.StatusOK).shows("Signed out")
			moved := newHarnessAt(t, folder+"/.", site)
			moved.signsIn()
		})
	}
}

// A disk cannot be read. Sessions continue while the last read is recent enough. After that,
// private pages are unavailable and public ones stay open.
//
// See docs/faults.md, row F32.
func TestAStorageThatCannotBeRead(t *testing.T) {
	t.Parallel()
	stop(t)
	for _, cause := range []error{syscall.EIO, syscall.EACCES, syscall.EMFILE} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			op, folder := newOP(t), storageDir(t)
			option, trouble := newTrouble(folder)
			site := `
http://rp.test {
	` + protectedBy(op, "public /open") + `
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`
			r := newHarnessAt(t, folder, site, option)
			b := signedIn(t, r)
			failed := &os.PathError{Op: "read", Path: folder, Err: cause}
			trouble.set(failed, failed)
			r.ahead(time.Minute)
			check(t, b.get("/page"), "a session a minute later").status(http.StatusOK)
			r.ahead(10 * time.Minute)
			check(t, b.get("/page"), "a session ten minutes later").status(http.StatusServiceUnavailable).hasHeader("Retry-After").setsCookies(0)
			check(t, b.get("/open"), "a public page").status(http.StatusOK).body("application sees ").setsCookies(0)
			contains(t, "the log", r.logs(), cause.Error())
			elsewhere := strings.Replace(option, folder, folder+"/.", 1) // like another process
			fresh := newHarnessAt(t, folder+"/.", site, elsewhere)
			check(t, fresh.browser().get("/page"), "after a restart").status(http.StatusServiceUnavailable).hasHeader("Retry-After")
			check(t, fresh.browser().get("/open"), "a public page after a restart").status(http.StatusOK)
			trouble.set(nil, nil)
			r.ahead(11 * time.Minute)
			check(t, b.get("/page"), "a session when it can be read again").status(http.StatusOK)
			fresh.ahead(11 * time.Minute)
			moveTo(b, fresh)
			check(t, b.get("/page"), "a session after the restart").status(http.StatusOK)
		})
	}
}

// Without randomness, no login begins. Go ends the process before it returns a weak value, so
// the test needs its own process.
//
// See docs/faults.md, row F34.
func TestWithoutRandomnessNoLoginBegins(t *testing.T) {
	t.Parallel()
	if os.Getenv("WITHOUT_RANDOMNESS") == "1" {
		op := oidctest.New(t)
		op.Register(rpURL + "/@app/auth/default/code")
		r := newHarness(t, protectedBy(op))
		load := func() *http.Response {
			request := httptest.NewRequest(http.MethodGet, rpURL+"/page", nil)
			for name, value := range pageLoadHeader {
				request.Header.Set(name, value)
			}
			recorder := httptest.NewRecorder()
			r.handler().ServeHTTP(recorder, request)
			return recorder.Result()
		}
		begins(required{t}, "with randomness: the redirect", load().Header.Get("Location"), op.URL(oidctest.Authorize))
		rand.Reader = noRandomness{}
		fmt.Println("without randomness")
		response := load()
		fmt.Println("a login has begun:", response.StatusCode, response.Header)
		return
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestWithoutRandomnessNoLoginBegins$")
	child.Env = append(os.Environ(), "WITHOUT_RANDOMNESS=1")
	text, err := child.CombinedOutput()
	var ended *exec.ExitError
	equal(t, "the process has failed", errors.As(err, &ended), true)
	contains(t, "the output", string(text), "without randomness\n")
	contains(t, "the output", string(text), "failed to read random data")
	lacks(t, "the output", string(text), "a login has begun")
}

type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("there is no entropy") }
