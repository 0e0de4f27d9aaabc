package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Caddy shuts down at each step of a login. The login is finished within the grace
// period, and its session exists after the restart.
//
// See docs/faults.md, row F42.
func TestALoginIsFinishedBeforeCaddyEnds(t *testing.T) {
	w, g, s := gated(t, zitadel, site{options: "userinfo always"})
	w.caddy.start(w.plainSite(s))
	client := crowd(2)
	defer client.CloseIdleConnections()
	for i, step := range callbackSteps {
		v := &visitor{w: w}
		if err := v.begin(client, fmt.Sprintf("/in/%d", i)); err != nil {
			t.Fatal(err)
		}
		if err := v.authenticate(client, "bob"); err != nil {
			t.Fatal(err)
		}
		if step.endpoint == "jwks_uri" { // the keys are cached since the first login
			w.caddy.restart(syscall.SIGTERM)
		}
		held := g.hold(step.endpoint, step.answered)
		done := make(chan error, 1)
		go func() {
			status, body, err := v.load(client, "GET", v.at, nil)
			if err == nil && status != http.StatusSeeOther {
				err = fmt.Errorf("status %d: %.200s", status, body)
			}
			done <- err
		}()
		held.caught(t, 1)
		if err := w.caddy.process.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "Caddy is ending", func() bool {
			return strings.Contains(w.caddy.process.log.String(), "grace period initiated")
		})
		held.release()
		if err := <-done; err != nil {
			t.Errorf("asked to end %s: expected the login to be finished, seen %v", step.name, err)
		}
		eventually(t, 20*time.Second, "Caddy has ended", func() bool { return !w.caddy.process.running() })
		client.CloseIdleConnections()
		w.caddy.start(w.caddy.running())
		if err := v.isFor(client, v.at, "bob"); err != nil {
			t.Errorf("asked to end %s: after the start: %v", step.name, err)
		}
	}
}

var peakMemory = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak returns the process's peak resident memory in bytes.
func (n *node) peak() int64 {
	n.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.process.cmd.Process.Pid))
	if err != nil {
		n.t.Fatal(err)
	}
	m := peakMemory.FindSubmatch(text)
	if m == nil {
		n.t.Fatalf("no peak of the memory in %s", text)
	}
	kilobytes, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return kilobytes << 10
}

// Caddy has little memory and many active sessions, and serves all of them. The limit is
// for the heap; the program itself takes resident memory beyond it.
//
// See docs/faults.md, row F45.
func TestManySessionsInLittleMemory(t *testing.T) {
	const limit = 64 << 20
	people, rounds := few(300, 10_000), 3
	eachStore(t, func(t *testing.T, w *world, s site) {
		w.caddy.env = append(w.caddy.env, fmt.Sprint("GOMEMLIMIT=", limit))
		w.caddy.start(w.plainSite(s))
		client := crowd(8)
		defer client.CloseIdleConnections()
		visitors := make([]*visitor, people)
		each(t, people, 8, func(i int) error {
			visitors[i] = &visitor{w: w}
			return visitors[i].signIn(client, "/in/x", "alice")
		})
		began := time.Now()
		for range rounds {
			each(t, people, 8, func(i int) error { return visitors[i].isFor(client, "/in/x", "alice") })
		}
		took := time.Since(began)
		heap := w.caddy.vitals(t).heap
		t.Logf("%d sessions, %d requests in %v; heap %.1f MiB, at its peak %.1f MiB were resident",
			people, people*rounds, took.Round(time.Millisecond), float64(heap)/(1<<20), float64(w.caddy.peak())/(1<<20))
		if heap > limit {
			t.Errorf("expected a heap of at most %d bytes, seen %d", limit, heap)
		}
		if peak := w.caddy.peak(); peak > 4*limit {
			t.Errorf("expected at most %d bytes to be resident, seen %d", 4*limit, peak)
		}
	})
}

// Caddy has few file descriptors, and more clients connect than it has descriptors. New
// clients wait or get errors, a connected client is served, and everything works again
// once the connections are closed.
//
// See docs/faults.md, row F46.
func TestFileDescriptorsRunOut(t *testing.T) {
	const descriptors, people = 256, 500
	w := newWorld(t, zitadel, site{})
	w.caddy.level = "ERROR"
	w.caddy.shell = fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, descriptors)
	w.op.start(t)
	w.caddy.start(w.plainSite(site{}))
	client := crowd(4)
	defer client.CloseIdleConnections()
	alice := &visitor{w: w}
	if err := alice.signIn(client, "/in/first", "alice"); err != nil {
		t.Fatal(err)
	}

	var idle []net.Conn
	for range people { // the kernel accepts them all; Caddy cannot
		conn, err := net.Dial("tcp", mustParse(w.base).Host)
		if err != nil {
			break
		}
		idle = append(idle, conn)
	}
	open := func() int {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.caddy.process.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	eventually(t, 10*time.Second, "the file descriptors have run out", func() bool { return open() >= descriptors })
	if err := alice.isFor(client, "/in/x", "alice"); err != nil {
		t.Errorf("who is connected, while there are none left: %v", err)
	}

	// Many clients begin a login at once and give up after two seconds.
	hasty := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second, CheckRedirect: client.CheckRedirect}
	var begun, failed atomic.Int64
	var all sync.WaitGroup
	for range people {
		all.Go(func() {
			if err := (&visitor{w: w}).begin(hasty, "/in/x"); err != nil {
				failed.Add(1)
			} else {
				begun.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d connections held open: %d logins began, %d failed", len(idle), begun.Load(), failed.Load())
	if failed.Load() == 0 {
		t.Error("expected logins to fail, seen none: the descriptors have not run out")
	}
	for _, conn := range idle {
		_ = conn.Close()
	}
	eventually(t, 20*time.Second, "a login works again", func() bool {
		return (&visitor{w: w}).signIn(client, "/in/x", "bob") == nil
	})
	if err := alice.isFor(client, "/in/x", "alice"); err != nil {
		t.Errorf("who was signed in before, afterwards: %v", err)
	}
	if !w.caddy.process.running() {
		t.Error("expected Caddy to have survived, seen that it has ended")
	}
}

// Nothing reads the log, and its pipe is full. Caddy writes each line before it
// continues, so requests that log something wait: refusals and logins. Requests of
// signed-in users and of public pages log nothing and continue. Once the log is read
// again, the waiting requests continue too.
//
// See docs/faults.md, row F50.
func TestALogThatIsNotRead(t *testing.T) {
	w := newWorld(t, zitadel, site{})
	w.op.start(t)
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	w.caddy.level = "INFO"
	w.caddy.shell = fmt.Sprintf(`exec "$0" "$@" 2>%q`, fifo)
	w.caddy.start(w.plainSite(site{}))
	client := crowd(64)
	defer client.CloseIdleConnections()
	alice := &visitor{w: w}
	if err := alice.signIn(client, "/in/first", "alice"); err != nil {
		t.Fatal(err)
	}

	// Nothing has read the pipe so far; the test fills the rest of it.
	for chunk := bytes.Repeat([]byte{'\n'}, 512); err == nil; _, err = reader.Write(chunk) {
		_ = reader.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("expected a pipe that is full, seen %v", err)
	}
	for range 50 {
		if err := alice.isFor(client, "/in/x", "alice"); err != nil {
			t.Fatalf("who is signed in, while the log is full: %v", err)
		}
		if err := alice.isFor(client, "/x", "alice"); err != nil {
			t.Fatalf("a public page, while the log is full: %v", err)
		}
	}
	bob := &visitor{w: w}
	if err := bob.begin(client, "/in/x"); err != nil {
		t.Fatalf("a login begins while the log is full: %v", err)
	}
	if err := bob.authenticate(client, "bob"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- bob.finish(client, "bob") }()
	select {
	case err := <-done:
		t.Errorf("expected a login to wait for the log, seen that it has ended: %v", err)
		return
	case <-time.After(time.Second):
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("a login when the log is read again: %v", err)
		}
	case <-time.After(busy * 20 * time.Second):
		t.Error("expected a login to end when the log is read again, seen that it waits")
	}
	w.caddy.process.stop(t, syscall.SIGTERM)
}
