package main

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// caddyfile configures the site of every plan. It imports the plan's options.
//
//go:embed Caddyfile
var caddyfile []byte

// A site is a Caddy that guards an application, for one run of one module. Each module
// has a new provider with new keys, so nothing may remain from an earlier run.
type site struct {
	app   *application
	dir   string
	caddy *exec.Cmd
	log   *logBuffer
	ended chan struct{}
}

// settings are what a site needs to know.
type settings struct {
	caddy       string // the program
	origin      string // https://rp.localhost:9443
	bind        string // the address to listen on
	issuer      string
	options     string // more lines of the oidc_rp block
	trust       string // file of certificates for TLS to the suite, or "" for the system's
	credentials *credentials
}

func startSite(ctx context.Context, s settings) (_ *site, err error) {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return nil, err
	}
	x := &site{dir: dir, log: &logBuffer{}, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			x.stop()
		}
	}()
	if x.app, err = newApplication(); err != nil {
		return nil, err
	}
	if err := s.credentials.write(dir); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"Caddyfile": caddyfile, "options": []byte(s.options + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	x.caddy = exec.CommandContext(ctx, s.caddy, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
	x.caddy.Dir = dir
	x.caddy.Env = append(os.Environ(),
		"HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"SITE="+s.origin, "BIND="+s.bind, "STORAGE="+filepath.Join(dir, "storage"), "APPLICATION="+x.app.address(),
		"ISSUER="+s.issuer, "CLIENT_ID="+clientID, "CLIENT_SECRET="+s.credentials.secret)
	if s.trust != "" {
		x.caddy.Env = append(x.caddy.Env, "SSL_CERT_FILE="+s.trust)
	}
	x.caddy.Stdout, x.caddy.Stderr = x.log, x.log
	if err := x.caddy.Start(); err != nil {
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	go func() {
		_ = x.caddy.Wait()
		close(x.ended)
	}()
	return x, x.serves(ctx, s)
}

// serves waits until Caddy completes a TLS handshake.
func (x *site) serves(ctx context.Context, s settings) error {
	u, err := url.Parse(s.origin)
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: s.credentials.authority, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	address := net.JoinHostPort(s.bind, port(u))
	err = eventually(ctx, 30*time.Second, 20*time.Millisecond, func() (bool, error) {
		select {
		case <-x.ended:
			return false, errors.New("the process has ended")
		default:
		}
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", address, config)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
	if err != nil {
		return fmt.Errorf("%s is not served by Caddy: %w\n%s", s.origin, err, x.log.tail(10))
	}
	return nil
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// stop ends Caddy and the application, and removes their files.
func (x *site) stop() {
	if x.caddy != nil && x.caddy.Process != nil {
		_ = x.caddy.Process.Kill()
		<-x.ended
	}
	if x.app != nil {
		_ = x.app.server.Close()
	}
	_ = os.RemoveAll(x.dir)
}

// An application is what the guard protects. It counts its requests and answers with the
// name of the user.
type application struct {
	listener net.Listener
	server   *http.Server
	mu       sync.Mutex
	requests int
	nameless int    // requests without a user
	idToken  string // the last one, if the site passes it on
}

func newApplication() (*application, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &application{listener: listener}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.server.Serve(listener) }()
	return a, nil
}

const greeting = "The application greets "

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-User")
	a.mu.Lock()
	a.requests++
	if user == "" {
		a.nameless++
	}
	if token := r.Header.Get("X-Id-Token"); token != "" {
		a.idToken = token
	}
	a.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, greeting+user)
}

func (a *application) address() string { return a.listener.Addr().String() }

func (a *application) seen() (requests, nameless int, idToken string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests, a.nameless, a.idToken
}

// A logBuffer keeps Caddy's output.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) tail(lines int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(strings.TrimSpace(l.text.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
