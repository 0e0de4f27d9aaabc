package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var figuresProgram = &program{name: "figures", dir: "cmd/caddy", pkg: "./figures"}

// TestFigures prints the figures in docs/scaling.md. It checks only that they can be
// measured.
func TestFigures(t *testing.T) {
	if !long || runtime.GOOS != "linux" {
		t.Skip("takes a minute, and the clocks of Linux: E2E_LONG=1")
	}
	r := newRedis(t)
	r.start()
	figures := exec.Command(figuresProgram.path(t), "-redis", r.url(), "-folder", t.TempDir())
	text, err := figures.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Logf("through the plugin's own code\n%s", text)

	w := newWorld(t, zitadel, site{})
	w.caddy.program, w.caddy.level = storesProgram, "WARN"
	w.op.start(t)
	for _, kind := range []struct{ name, session string }{
		{"cookie", "store cookie"}, {"memory", "store memory"}, {"storage", "store storage"}, {"redis", "store redis " + r.url()},
	} {
		s := site{options: fmt.Sprintf(`session {
			%s
		}`, kind.session)}
		if w.caddy.process == nil {
			w.caddy.start(w.plainSite(s))
		} else if err := w.caddy.reload(w.plainSite(s)); err != nil {
			t.Fatal(err)
		}
		t.Log(kind.name, w.requestCost(t, 500))
	}
	if err := w.caddy.reload(w.caddy.caddyfile("", fmt.Sprintf(`%s {
	bind 127.0.0.1
	respond ok
}
`, w.base))); err != nil {
		t.Fatal(err)
	}
	client := crowd(8)
	t.Log("a Caddy that only answers", w.caddy.cpuOf(t, 20_000, func(int) error { return w.get(client, "/", "") }))
}

// requestCost signs users in and returns what one of their requests costs Caddy: with a
// session that was just used, and with one that was not used for longer than any copy of
// it is cached.
func (w *world) requestCost(t *testing.T, people int) string {
	cookies := make([]string, people)
	each(t, people, 4, func(i int) error {
		b := w.newBrowser()
		b.open("/in/").asks(w).signIn("alice")
		cookies[i] = b.cookieHeader()
		return nil
	})
	client := crowd(8)
	visit := func(i int) error { return w.get(client, "/in/", cookies[i%people]) }
	w.caddy.cpuOf(t, people, visit)
	hot := w.caddy.cpuOf(t, 20_000, visit)
	time.Sleep(11 * time.Second)
	cold := w.caddy.cpuOf(t, people, visit)
	return fmt.Sprintf("at hand %s; cold %s", hot, cold)
}

func (w *world) get(client *http.Client, path, cookies string) error {
	r, err := http.NewRequest(http.MethodGet, w.base+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Cookie", cookies)
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", answer.StatusCode, err)
	}
	return nil
}

// cpuOf returns the processor time per request in the node's process, for so many requests,
// eight at a time.
func (n *node) cpuOf(t *testing.T, times int, do func(i int) error) string {
	t.Helper()
	before := n.cpu(t)
	var next atomic.Int64
	each(t, 8, 8, func(int) error {
		for i := int(next.Add(1)) - 1; i < times; i = int(next.Add(1)) - 1 {
			if err := do(i); err != nil {
				return err
			}
		}
		return context.Cause(t.Context())
	})
	spent := n.cpu(t) - before
	return fmt.Sprintf("%.1f µs CPU, %.0f/s on one core", float64(spent.Nanoseconds())/1e3/float64(times), float64(times)/spent.Seconds())
}

// cpu returns the processor time used by the process's threads.
func (n *node) cpu(t *testing.T) (all time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", n.process.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("expected threads of the process, seen none")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has just ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all += time.Duration(ns)
	}
	return all
}
