package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a process that is measured: Caddy, or a redis-server for it.
type server struct {
	command *exec.Cmd
	folder  string // for its files
	address string // host and port on loopback
	started time.Duration
	ended   chan struct{}
}

// freePort returns a loopback port that no process listens on.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}

// launch starts a program on a core and waits until ready returns nil, for at
// most 20 seconds.
func launch(ctx context.Context, folder, address string, core int, ready func() error, program string, arguments ...string) (*server, error) {
	log, err := os.Create(filepath.Join(folder, filepath.Base(program)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s := &server{folder: folder, address: address, ended: make(chan struct{})}
	s.command = exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(core), program}, arguments...)...)
	s.command.Env = append(os.Environ(), "HOME="+folder, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder)
	s.command.Stdout, s.command.Stderr = log, log
	began := time.Now()
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	for {
		err := ready()
		if err == nil {
			s.started = time.Since(began)
			return s, nil
		}
		select {
		case <-s.ended:
			err = errors.New("it has ended")
		case <-time.After(time.Millisecond):
			if time.Since(began) < 20*time.Second {
				continue
			}
		}
		s.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s does not start: %w\n%s", program, err, text)
	}
}

// stop ends the process and waits until it has ended. It kills it after ten
// seconds.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		_ = s.command.Process.Kill()
		<-s.ended
	}
}

func (s *server) pid() int { return s.command.Process.Pid }

// caddy starts a Caddy whose site responds with "ok", behind the directive if
// it is not empty.
func (w *world) caddy(ctx context.Context, directive string) (*server, error) {
	folder, err := os.MkdirTemp(w.folder, "caddy")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + port
	w.provider.Register("http://" + address + "/@app/auth/default/code")
	text := fmt.Sprintf("{\n\tadmin unix/%s/admin\n\tauto_https off\n\tpersist_config off\n\tstorage file_system %[1]s/storage\n}\nhttp://%s {\n%s\n\trespond \"ok\"\n}\n", folder, address, directive)
	config := filepath.Join(folder, "Caddyfile")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	ready := func() error {
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + address + "/")
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	return launch(ctx, folder, address, w.core, ready, w.binary, "run", "--config", config, "--adapter", "caddyfile")
}

// redis starts a redis-server without persistence on the core of the load.
func (w *world) redis(ctx context.Context) (*server, error) {
	folder, err := os.MkdirTemp(w.folder, "redis")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + port
	ready := func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			err = c.Close()
		}
		return err
	}
	return launch(ctx, folder, address, w.loadCore, ready, "redis-server",
		"--bind", "127.0.0.1", "--port", port, "--unixsocket", redisSocket(folder), "--dir", folder, "--save", "")
}

func redisSocket(folder string) string { return filepath.Join(folder, "socket") }

// guard returns the directive of a row, and the redis-server that it needs,
// which may be nil.
func (w *world) guard(ctx context.Context, r row) (directive string, beside *server, err error) {
	if strings.Contains(r.site, "{redis") {
		if beside, err = w.redis(ctx); err != nil {
			return "", nil, err
		}
		r.site = strings.NewReplacer("{redis}", beside.address, "{redis_socket}", redisSocket(beside.folder)).Replace(r.site)
	}
	client := w.provider.Client()
	return fmt.Sprintf("\toidc_rp {\n\t\tissuer %s\n\t\tclient_id %s\n\t\tclient_secret %q\n%s\n\t}", w.provider.Issuer(), client.ID, client.Secret, r.site), beside, nil
}
