// Package redistest starts Redis servers for tests, on free ports of the
// loopback interface, and lets them fail. Only tests import it.
//
// Where there is no redis-server the tests are skipped, unless the environment
// variable OIDC_RP_SERVERS is «required».
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to start, or to answer redis-cli.
const patience = time.Minute

// Server is a redis-server, or a redis-sentinel.
type Server struct {
	// Addr is its host and port, empty where it has only a socket.
	Addr string
	// Socket is the path of its unix socket, empty where it has a port.
	Socket string
	// Password is that of its user default, if there is one.
	Password string
	// TLS are the files of its certificates, nil without TLS.
	TLS *Certificates

	t       testing.TB
	program string
	dir     string
	args    []string

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{} // closed when the process has
	output  bytes.Buffer
}

// Start starts a server that ends with the test. The options are those of
// redis-server, as in "--maxmemory", "1mb".
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := prepare(t, "redis-server", options...)
	s.listen()
	return s
}

// StartWithPassword starts a server whose user default has a password.
func StartWithPassword(t testing.TB, password string, options ...string) *Server {
	t.Helper()
	s := prepare(t, "redis-server", append(options, "--requirepass", password)...)
	s.Password = password
	s.listen()
	return s
}

// StartUnix starts a server that listens on a unix socket only.
func StartUnix(t testing.TB, options ...string) *Server {
	t.Helper()
	s := prepare(t, "redis-server", options...)
	// The names of sockets are short, those of test directories are not.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.Socket = filepath.Join(dir, "s")
	s.args = append(s.args, "--port", "0", "--unixsocket", s.Socket)
	s.Restart()
	return s
}

// StartReplica starts a replica of another server, and waits until it is one.
func StartReplica(t testing.TB, of *Server, options ...string) *Server {
	t.Helper()
	return startReplica(t, of, options...)
}

// startReplica starts a replica whose password is the other's.
func startReplica(t testing.TB, of *Server, options ...string) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(of.Addr)
	s := prepare(t, "redis-server", append(options, "--replicaof", host+" "+port)...)
	s.Password = of.Password
	s.listen()
	s.Await("master_link_status:up", "INFO", "replication")
	return s
}

func prepare(t testing.TB, program string, options ...string) *Server {
	t.Helper()
	for _, name := range []string{program, "redis-cli"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("OIDC_RP_SERVERS") == "required" {
				t.Fatalf("%v, and the environment says that servers are required", err)
			}
			t.Skip(err)
		}
	}
	s := &Server{t: t, program: program, dir: t.TempDir()}
	s.args = append([]string{
		"--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no", "--logfile", "",
	}, options...)
	t.Cleanup(s.Kill)
	return s
}

// listen gives the server a port. Another process may have taken it meanwhile;
// then there are others.
func (s *Server) listen() {
	s.t.Helper()
	args := s.args
	for attempt := 0; ; attempt++ {
		port := FreePort(s.t)
		s.Addr = net.JoinHostPort("127.0.0.1", port)
		kind := "--port"
		if s.TLS != nil {
			kind = "--tls-port"
		}
		s.args = append(args[:len(args):len(args)], kind, port)
		if s.program == "redis-sentinel" {
			s.args = append([]string{filepath.Join(s.dir, "sentinel.conf")}, s.args...)
		}
		err := s.run()
		if err == nil {
			return
		}
		if attempt == 3 {
			s.t.Fatal(err)
		}
	}
}

// FreePort returns a port that no process listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// Restart starts the server again where it was, without its records.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.run(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) run() error {
	s.Kill()
	process := exec.Command(s.program, s.args...)
	s.mu.Lock()
	s.output.Reset()
	process.Stdout, process.Stderr = &s.output, &s.output
	err := process.Start()
	ended := make(chan struct{})
	if err == nil {
		s.process, s.ended = process, ended
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	go func() { process.Wait(); close(ended) }()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		network, address := "tcp", s.Addr
		if s.Socket != "" {
			network, address = "unix", s.Socket
		}
		if conn, err := net.Dial(network, address); err == nil {
			conn.Close()
			// Somebody else may have been there first.
			select {
			case <-ended:
			case <-time.After(20 * time.Millisecond):
				return nil
			}
		}
		select {
		case <-ended:
			s.Kill()
			return fmt.Errorf("%s did not start: %s", s.program, s.output.String())
		default:
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("%s does not listen: %s", s.program, s.output.String())
		}
	}
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	s.mu.Lock()
	process, ended := s.process, s.ended
	s.process = nil
	s.mu.Unlock()
	if process != nil {
		process.Process.Kill()
		<-ended
	}
}

// Pause lets the server hang, with its connections open.
func (s *Server) Pause() { s.signal(stop) }

// Resume ends a Pause.
func (s *Server) Resume() { s.signal(goOn) }

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// URL is the server's address for clients, with its password.
func (s *Server) URL() string {
	if s.Socket != "" {
		return "unix://" + s.Socket
	}
	u := url.URL{Scheme: "redis", Host: s.Addr}
	if s.TLS != nil {
		u.Scheme = "rediss"
	}
	if s.Password != "" {
		u.User = url.UserPassword("", s.Password)
	}
	return u.String()
}

// Try asks the server by redis-cli.
func (s *Server) Try(words ...string) (string, error) {
	var where []string
	if s.Socket != "" {
		where = []string{"-s", s.Socket}
	} else {
		host, port, _ := net.SplitHostPort(s.Addr)
		where = []string{"-h", host, "-p", port}
	}
	if s.TLS != nil {
		where = append(where, "--tls", "--cacert", s.TLS.CA, "--cert", s.TLS.Client, "--key", s.TLS.ClientKey)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	process := exec.CommandContext(ctx, "redis-cli", append(append(where, "-e"), words...)...)
	if s.Password != "" {
		process.Env = append(os.Environ(), "REDISCLI_AUTH="+s.Password)
	}
	var complaint strings.Builder
	process.Stderr = &complaint
	output, err := process.Output()
	if err != nil {
		err = fmt.Errorf("redis-cli %s: %w: %s%s", words[0], err, output, complaint.String())
	}
	return strings.TrimSpace(string(output)), err
}

// Do is Try, and fails the test when the server refuses.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	answer, err := s.Try(words...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// Await asks until the answer contains a text.
func (s *Server) Await(text string, words ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
		answer, err := s.Try(words...)
		if err == nil && strings.Contains(answer, text) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%v: no %s in the answer: %s %v", words, text, answer, err)
		}
	}
}

// Connections is how many clients are connected, beside the one that asks.
func (s *Server) Connections() int {
	s.t.Helper()
	count := 0
	for line := range strings.Lines(s.Do("CLIENT", "LIST", "TYPE", "NORMAL")) {
		if strings.Contains(line, "id=") {
			count++
		}
	}
	return count - 1
}

func atoi(text string) int {
	number, _ := strconv.Atoi(text)
	return number
}
