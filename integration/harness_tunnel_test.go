package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tunnelApp is an application that responds to every request with 101 and then echoes each line.
type tunnelApp struct {
	net.Listener
	mu   sync.Mutex
	last *http.Request
}

func newTunnel(t *testing.T) *tunnelApp {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	a := &tunnelApp{Listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go a.serve(conn)
		}
	}()
	return a
}

func (a *tunnelApp) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	r, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	a.mu.Lock()
	a.last = r
	a.mu.Unlock()
	protocol := r.Header.Get("Upgrade")
	if protocol == "" {
		protocol = "h2c"
	}
	fmt.Fprint(conn, rawRequest("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: "+protocol))
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(conn, line)
	}
}

// got returns the last request, and nil when called again.
func (a *tunnelApp) got() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.last
	a.last = nil
	return r
}

// received is like got, but there must be a request.
func (a *tunnelApp) received(t testing.TB, what string) *http.Request {
	t.Helper()
	r := a.got()
	if r == nil {
		t.Fatalf("%s: expected a request at the application, seen none", what)
	}
	return r
}

// receivedNone expects no request.
func (a *tunnelApp) receivedNone(t testing.TB, what string) {
	t.Helper()
	if r := a.got(); r != nil {
		t.Errorf("%s: expected no request at the application, seen %s %s", what, r.Method, r.URL)
	}
}

// upgraded sends the lines of a request unchanged and reports whether the connection became a
// tunnel to the application.
func upgraded(t *testing.T, r *harness, lines ...string) (status int, tunnelled bool) {
	t.Helper()
	conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := rawRequest(lines...)
	fmt.Fprint(conn, request)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return answer.StatusCode, false
	}
	fmt.Fprintln(conn, "over the tunnel")
	line, _ := reader.ReadString('\n')
	return answer.StatusCode, strings.TrimSpace(line) == "over the tunnel"
}

// upgradeRig returns a site with a public route, private pages, preflights that pass, a part
// that the guard does not cover, and error pages of the application.
func upgradeRig(t *testing.T) (*harness, *tunnelApp, *browser) {
	a := newTunnel(t)
	op := newOP(t)
	site := `
http://rp.test {
	@errors path /own-errors/*
	@uncovered path /uncovered/*
	handle /uncovered/* {
		oidc_rp /covered/* {
			PROVIDER
			upgrades SPDY/3.1
		}
		reverse_proxy TUNNEL
	}
	handle /own-errors/* {
		oidc_rp {
			PROVIDER
			error_pages caddy
			upgrades tcp
		}
		reverse_proxy TUNNEL
	}
	handle /outer/* {
		oidc_rp public {
			PROVIDER
			upgrades tcp
		}
		reverse_proxy TUNNEL
	}
	handle /echo {
		reverse_proxy {upstream}
	}
	oidc_rp endpoints {
		PROVIDER
	}
	handle {
		oidc_rp {
			PROVIDER
			public /robots.txt /echo
			preflight pass
			upgrades tcp SPDY/3.1 tcp TCP
		}
		handle /signed-in {
			reverse_proxy {upstream}
		}
		reverse_proxy TUNNEL
	}
	handle_errors {
		reverse_proxy TUNNEL
	}
}`
	r := newHarnessAt(t, storageDir(t), strings.NewReplacer("PROVIDER", options(op), "TUNNEL", a.Addr().String()).Replace(site))
	b := r.browser()
	check(required{t}, b.open("/signed-in"), "sign-in").status(http.StatusOK)
	return r, a, b
}
