package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheClockCountsWork(t *testing.T) { // not parallel: it counts the whole process
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine it is much less.
	if used := after - before; used < 10*time.Millisecond || used > 5*time.Second {
		t.Errorf("200 ms of work are %s", used)
	}
	if err := checkClock(os.Getpid()); err != nil {
		t.Error(err)
	}
}

func TestLoadSendsWhatItIsToldAndLooksAtEachAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, number int64)
		fails  bool
	}{
		"good": {func(w http.ResponseWriter, _ int64) { fmt.Fprint(w, "ok") }, false},
		"one has another body": {func(w http.ResponseWriter, number int64) {
			if number == 50 {
				fmt.Fprint(w, "no")
				return
			}
			fmt.Fprint(w, "ok")
		}, true},
		"one is a redirect": {func(w http.ResponseWriter, number int64) {
			if number == 50 {
				w.WriteHeader(http.StatusFound)
			}
			fmt.Fprint(w, "ok")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var count, cookies atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Cookie") == "a=b" {
					cookies.Add(1)
				}
				c.answer(w, count.Add(1))
			}))
			defer s.Close()
			l, err := newLoad(s.Listener.Addr().String(), "/", "a=b", wantOf(http.StatusOK, ""), 3)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			if err := l.run(100); (err != nil) != c.fails {
				t.Errorf("the run ends with %v", err)
			}
			if !c.fails {
				if n := count.Load(); n != 100 {
					t.Errorf("expected 100 requests, seen %d", n)
				}
				if n := cookies.Load(); n != 100 {
					t.Errorf("expected 100 requests with the cookie, seen %d", n)
				}
			}
		})
	}
}

// A row whose site uses Redis gets its own redis-server.
func TestRedisOfARow(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server", "taskset")
	provider, witness, err := newProvider()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := witness.end(); err != nil {
			t.Error(err)
		}
	}()
	w := &world{folder: t.TempDir(), provider: provider, core: firstCore(t), loadCore: firstCore(t)}
	directive, beside, err := w.guard(t.Context(), row{site: `session {
		store redis redis://{redis}/0
	}`})
	if err != nil {
		t.Fatal(err)
	}
	defer beside.stop()
	if !strings.Contains(directive, "redis://"+beside.address+"/0") {
		t.Errorf("the directive does not name it:\n%s", directive)
	}
	for network, address := range map[string]string{"tcp": beside.address, "unix": redisSocket(beside.folder)} {
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 7)
		if _, err = fmt.Fprint(c, "PING\r\n"); err == nil {
			_, err = c.Read(answer)
		}
		if err != nil || string(answer) != "+PONG\r\n" {
			t.Errorf("%s: %q %v", network, answer, err)
		}
		_ = c.Close()
	}
}

func TestAProgramThatEndsSaysWhy(t *testing.T) {
	t.Parallel()
	needs(t, "taskset")
	never := func() error { return fmt.Errorf("it is not ready") }
	_, err := launch(t.Context(), t.TempDir(), "", firstCore(t), never, "ls", "/there-is-no-such-file")
	if err == nil || !strings.Contains(err.Error(), "there-is-no-such-file") {
		t.Errorf("%v", err)
	}
}

// needs skips a test if a program that it needs is missing. Where servers are required,
// the test fails instead.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("OIDC_RP_SERVERS") == "required" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
	}
}

// firstCore returns the first core that this process may use.
func firstCore(t *testing.T) (core int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:")
	if _, err := fmt.Sscan(rest, &core); err != nil {
		t.Fatal(err)
	}
	return core
}
