package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A redisServer is a redis-server that a test can stop and start again with its data.
type redisServer struct {
	t       testing.TB
	port    int
	args    []string
	process *process
}

// newRedis reserves the port. options are options of redis-server.
func newRedis(t testing.TB, options ...string) *redisServer {
	t.Helper()
	r := &redisServer{t: t, port: freePort(t)}
	r.args = append([]string{
		"--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "",
	}, options...)
	return r
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

func (r *redisServer) start() {
	r.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		r.t.Fatalf("redis-server is missing: run e2e/run, it installs what the tests need (%v)", err)
	}
	r.process = spawn(r.t, "redis-server", nil, program, r.args...)
	eventually(r.t, 15*time.Second, "redis-server answers", func() bool {
		if !r.process.running() {
			r.t.Fatalf("redis-server has ended:\n%s", r.process.log.tail(20))
		}
		text, err := r.command("PING")
		return err == nil && text == "PONG"
	})
}

func (r *redisServer) stop() { r.process.stop(r.t, syscall.SIGTERM) }

// command runs a command with redis-cli.
func (r *redisServer) command(args ...string) (string, error) {
	text, err := exec.Command("redis-cli", append([]string{"-p", fmt.Sprint(r.port)}, args...)...).Output()
	return strings.TrimSpace(string(text)), err
}

// ask runs a command that must succeed.
func (r *redisServer) ask(args ...string) string {
	r.t.Helper()
	text, err := r.command(args...)
	if err != nil {
		r.t.Fatalf("redis-cli %s: %v: %s", args[0], err, text)
	}
	return text
}
