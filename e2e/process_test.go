package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a child that cannot outlive the test binary.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   *logBuffer
	done  chan struct{} // closed once it has ended
	last  func()        // runs before the end of the test stops it
	whole *process      // set if this is a part of a shared process, which goes on without it
}

// forks runs functions that start children, on one thread that lives as long as the test
// binary. Pdeathsig fires when the thread that started the child ends, and Go ends
// threads.
var forks = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for fork := range forks {
			fork()
		}
	}()
}

// spawn starts a child that is killed when the test ends. A failing test prints the
// child's last output.
func spawn(t testing.TB, name string, env []string, path string, args ...string) *process {
	t.Helper()
	p, err := launch(name, env, path, args...)
	if err != nil {
		t.Fatal(err)
	}
	p.endsWith(t)
	return p
}

// launch starts a child that lives as long as the test binary.
func launch(name string, env []string, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), log: &logBuffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	forks <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s does not start: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// partOf returns a process for a test that is a part of a process shared by several
// tests.
func partOf(t testing.TB, whole *process) *process {
	p := &process{name: whole.name, log: whole.log, done: make(chan struct{}), whole: whole}
	p.endsWith(t)
	return p
}

func (p *process) endsWith(t testing.TB) {
	t.Cleanup(func() {
		if p.last != nil && p.running() {
			p.last()
		}
		p.stop(t, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", p.name, p.log.tail(40))
		}
	})
}

func (p *process) running() bool {
	if p.whole != nil && !p.whole.running() {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop sends the signal to the process and waits for its end.
func (p *process) stop(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if !p.running() {
		return
	}
	if p.whole != nil {
		close(p.done)
		return
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to %s: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(busy * 20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Errorf("%s did not end within %v of %v", p.name, busy*20*time.Second, signal)
	}
}

// A logBuffer keeps everything that a child writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	for i, line := range lines {
		if len(line) > 600 {
			lines[i] = line[:600] + "…"
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

var ports struct {
	mu    sync.Mutex
	given map[int]bool
}

// freePort returns a free loopback port, and each port only once. The port is below the
// range for outgoing connections, so it is still free when the child starts, and again
// after a restart.
func freePort(t testing.TB) int {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.given == nil {
		ports.given = map[int]bool{}
	}
	for range 1000 {
		port := 15000 + rand.IntN(17000)
		if ports.given[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports.given[port] = true
		return port
	}
	t.Fatal("no free port on loopback")
	return 0
}

// busy is the factor by which limits are longer than usual, because the tests also run on
// slow and busy machines.
const busy = 6

// eventually polls until the condition holds. what says what is missing. limit is for an
// ordinary machine.
func eventually(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	limit *= busy
	for deadline := time.Now().Add(limit); ; {
		if condition() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// awaitSteps waits until a script in Chromium has ended and decodes its report.
func awaitSteps(t testing.TB, script *process, limit time.Duration, report any) {
	t.Helper()
	eventually(t, limit, "the journey is over", func() bool { return !script.running() })
	for line := range strings.SplitSeq(script.log.String(), "\n") {
		if strings.HasPrefix(line, `{"steps"`) {
			if err := json.Unmarshal([]byte(line), report); err != nil {
				t.Fatal(err)
			}
		}
	}
}
