package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
)

// tunnelApp is an application that answers 101 to anything, and then sends back
// every line.
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
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(conn, line)
	}
}

// got is the request that the application received last, and nil after that.
func (a *tunnelApp) got() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.last
	a.last = nil
	return r
}

// upgraded sends a request as it is written and reports whether its connection
// became a tunnel to the application.
func upgraded(t *testing.T, r *harness, request string) (status int, tunnelled bool) {
	t.Helper()
	conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, request)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return answer.StatusCode, false
	}
	fmt.Fprint(conn, "over the tunnel\n")
	line, _ := reader.ReadString('\n')
	return answer.StatusCode, line == "over the tunnel\n"
}

// upgradeRig is a site with a public route, a private rest, preflights, a part that
// the guard does not cover, and error pages of the application's.
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
	if p := b.open("/signed-in"); p.StatusCode != http.StatusOK {
		t.Fatalf("sign-in ends with status %d", p.StatusCode)
	}
	return r, a, b
}

// Fault A1. An upgraded connection is a tunnel past the guard.
func TestOnlyAWebSocketBecomesATunnel(t *testing.T) {
	t.Parallel()
	r, a, b := upgradeRig(t)
	const host = "Host: rp.test\r\n"
	session := "Cookie: " + b.cookieHeader() + "\r\n"
	places := []struct{ name, start string }{
		{"a public route", "GET /robots.txt HTTP/1.1\r\n" + host},
		{"a private page of a signed-in user", "GET /x HTTP/1.1\r\n" + host + session},
		{"what the guard does not cover", "GET /uncovered/x HTTP/1.1\r\n" + host},
		{"a public site", "GET /outer/x HTTP/1.1\r\n" + host},
		{"a preflight that passes", "OPTIONS /x HTTP/1.1\r\n" + host + "Origin: https://rp.test\r\nAccess-Control-Request-Method: GET\r\n"},
		{"an error page of the application's", "GET /own-errors/x HTTP/1.1\r\n" + host},
		{"a POST", "POST /robots.txt HTTP/1.1\r\nContent-Length: 0\r\n" + host},
	}
	for _, place := range places {
		for _, header := range []string{
			"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"Connection: Upgrade\r\nUpgrade: h2c\r\n",
			"connection: uPGRADE\r\nuPGRADE: H2C\r\n",
			"Connection: keep-alive, Upgrade\r\nUpgrade: websocket, h2c\r\n",
			"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
			"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
			"Connection: Upgrade\r\nConnection: HTTP2-Settings\r\nUpgrade: \t h2c \t\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"Connection: Upgrade\r\nUpgrade: websocket h2c\r\n",
			"Connection: Upgrade\r\nUpgrade: websocket;h2c\r\n",
			"Connection: Upgrade\r\nUpgrade: ,websocket\r\n",
			"Connection: Upgrade\r\nUpgrade: websocket/13\r\n",
			"Connection: Upgrade\r\nUpgrade: \"websocket\"\r\n",
			"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
			"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
			"Connection: Upgrade\r\nUpgrade: connect-udp\r\n",
			"Connection: Upgrade\r\nUpgrade:\r\n",
			"Connection: Upgrade\r\n",
			"Connection: close, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"Upgrade: websocket\r\n",
			"Connection: close\r\nUpgrade: websocket\r\n",
		} {
			_, tunnelled := upgraded(t, r, place.start+header+"\r\n")
			got := a.got()
			if tunnelled || got == nil || got.Header.Get("Upgrade") != "" || got.Header.Get("Http2-Settings") != "" || got.Header.Get("Connection") != "" {
				t.Errorf("%s, %q: tunnel %v, the application got %v", place.name, header, tunnelled, got)
			}
		}
		_, tunnelled := upgraded(t, r, strings.Replace(place.start, "HTTP/1.1", "HTTP/1.0", 1)+"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if got := a.got(); tunnelled || got == nil || got.Header.Get("Upgrade") != "" {
			t.Errorf("%s, HTTP/1.0: tunnel %v, the application got %v", place.name, tunnelled, got)
		}
	}
}

func TestWhatMayBecomeATunnel(t *testing.T) {
	t.Parallel()
	r, a, b := upgradeRig(t)
	session := "Cookie: " + b.cookieHeader() + "\r\n"
	const preflight = "Origin: https://rp.test\r\nAccess-Control-Request-Method: GET\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	for _, path := range []string{"/x", "/robots.txt", "/outer/x", "/uncovered/x"} {
		if _, tunnelled := upgraded(t, r, "OPTIONS "+path+" HTTP/1.1\r\nHost: rp.test\r\n"+preflight+"\r\n"); tunnelled || a.got() == nil {
			t.Errorf("a preflight to %s becomes a tunnel, or does not pass", path)
		}
	}
	for _, row := range []struct {
		path, header string
		want         bool
	}{
		{"/robots.txt", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
		{"/robots.txt", "Connection: keep-alive, upgrade\r\nUpgrade:  WebSocket \r\n", true},
		{"/x", session + "Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
		{"/x", session + "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://rp.test\r\n", true},
		{"/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false},
		{"/uncovered/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
		// Protocols that upgrades names, where they are named.
		{"/robots.txt", "Connection: Upgrade\r\nUpgrade: spdy/3.1\r\n", true},
		{"/x", session + "Connection: Upgrade\r\nUpgrade: TCP\r\n", true},
		{"/x", session + "Connection: Upgrade\r\nUpgrade: SPDY\r\n", false},
		{"/x", session + "Connection: Upgrade\r\nUpgrade: tcp, SPDY/3.1\r\n", false},
		{"/outer/x", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n", false},
		{"/uncovered/x", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n", true},
		// Error pages are no tunnels, whatever the application answers.
		{"/own-errors/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false},
		{"/own-errors/x", "Connection: Upgrade\r\nUpgrade: tcp\r\n", false},
		{"/own-errors/x", session + "Connection: Upgrade\r\nUpgrade: tcp\r\n", true},
	} {
		_, tunnelled := upgraded(t, r, "GET "+row.path+" HTTP/1.1\r\nHost: rp.test\r\n"+row.header+"\r\n")
		if got := a.got(); tunnelled != row.want {
			t.Errorf("%s %q: tunnel %v, want %v; the application got %v", row.path, strings.TrimPrefix(row.header, session), tunnelled, row.want, got)
		}
	}
}

// Threat D34. A browser sends cookies with a WebSocket that a page of another site opens.
func TestAWebSocketOfAnotherSiteIsNobodys(t *testing.T) {
	t.Parallel()
	a := newTunnel(t)
	r := newHarnessAt(t, storageDir(t), strings.ReplaceAll(`
http://rp.test {
	oidc_rp public {
		`+options(newOP(t))+`
		private /private/*
		return_to https://shop.test
		upstream {
			header X-User {http.auth.user.id}
		}
	}
	handle /login {
		respond ok
	}
	reverse_proxy TUNNEL {
		header_up X-Known {http.oidc_rp.authenticated}{http.auth.user.id}
	}
}`, "TUNNEL", a.Addr().String()))

	b := r.browser()
	b.open("/@app/auth/default/login?returnto=/login")
	for _, row := range []struct {
		origins []string
		foreign bool
	}{
		{nil, false}, {[]string{"https://rp.test"}, false}, {[]string{"https://RP.test:443"}, false}, {[]string{"https://shop.test"}, false},
		{[]string{"https://evil.test"}, true}, {[]string{"http://rp.test"}, true}, {[]string{"https://sub.rp.test"}, true}, {[]string{"https://rp.test:8443"}, true},
		{[]string{"null"}, true}, {[]string{""}, true}, {[]string{"https://rp.test", "https://evil.test"}, true}, {[]string{"https://rp.test.evil.test"}, true},
	} {
		header := "Connection: Upgrade\r\nUpgrade: websocket\r\nX-User: admin\r\nCookie: " + b.cookieHeader() + "\r\n"
		for _, origin := range row.origins {
			header += "Origin: " + origin + "\r\n"
		}
		_, tunnelled := upgraded(t, r, "GET /x HTTP/1.1\r\nHost: rp.test\r\n"+header+"\r\n")
		user, known := "alice", "truealice"
		if row.foreign {
			user, known = "", "false"
		}
		if got := a.got(); !tunnelled || got.Header.Get("X-User") != user || got.Header.Get("X-Known") != known || got.Header.Get("Cookie") != "" {
			t.Errorf("public, Origin %q: tunnel %v, the application got %v", row.origins, tunnelled, got.Header)
		}
		status, tunnelled := upgraded(t, r, "GET /private/x HTTP/1.1\r\nHost: rp.test\r\n"+header+"\r\n")
		if tunnelled == row.foreign || row.foreign && (status != http.StatusForbidden || a.got() != nil) {
			t.Errorf("private, Origin %q: status %d, tunnel %v", row.origins, status, tunnelled)
		}
		a.got()
	}
}

// Fault A13. CONNECT asks for a tunnel: on every path, of every instance.
func TestConnectIsRefused(t *testing.T) {
	t.Parallel()
	r, a, b := upgradeRig(t)
	for _, target := range []string{"/robots.txt", "/x", "/uncovered/x", "/outer/x", "/own-errors/x", "/@app/auth/default/login", "/Special:UserLogout", "rp.test:443"} {
		for _, header := range []string{"", "Connection: Upgrade\r\nUpgrade: websocket\r\n"} {
			status, tunnelled := upgraded(t, r, "CONNECT "+target+" HTTP/1.1\r\nHost: rp.test\r\nCookie: "+b.cookieHeader()+"\r\n"+header+"\r\n")
			if status != http.StatusMethodNotAllowed || tunnelled || a.got() != nil {
				t.Errorf("CONNECT %s %q: status %d, tunnel %v", target, header, status, tunnelled)
			}
		}
	}
	if p := b.get("/signed-in"); p.StatusCode != http.StatusOK {
		t.Errorf("afterwards the user has status %d", p.StatusCode)
	}
}

// opensWebSocket reports whether an application would take a request for a
// WebSocket (RFC 8441, RFC 9220).
func opensWebSocket(r *http.Request) bool {
	if r.ProtoMajor == 3 {
		return r.Proto == "websocket"
	}
	return slices.Equal(r.Header[":protocol"], []string{"websocket"})
}

// connect serves a CONNECT as Go's HTTP/2 server and quic-go hand it over.
func connect(h *oidcrp.Handler, path string, major int, protocol string, header http.Header, next caddyhttp.Handler) (*httptest.ResponseRecorder, error) {
	request := httptest.NewRequest(http.MethodGet, rpURL+"/", nil)
	request.Method, request.URL.Path, request.RequestURI = http.MethodConnect, path, path
	request.ProtoMajor, request.ProtoMinor, request.Proto = major, 0, fmt.Sprintf("HTTP/%d.0", major)
	for name, values := range header {
		request.Header[name] = values
	}
	switch {
	case protocol == "":
	case major == 2:
		request.Header[":protocol"] = []string{protocol}
	default:
		request.Proto = protocol
	}
	w := httptest.NewRecorder()
	request = caddyhttp.PrepareRequest(request, caddy.NewReplacer(), w, nil)
	return w, h.ServeHTTP(w, request, next)
}

// Threat D34. An extended CONNECT for a WebSocket is judged as a GET of its path.
func TestAnExtendedConnectIsJudgedAsAGet(t *testing.T) {
	t.Parallel()
	r := newHarness(t, `
	@gets {
		method GET
		path /public/*
	}
	oidc_rp {
		`+options(newOP(t))+`
		public @gets
		error_pages caddy
		upstream {
			header X-User {http.auth.user.id}
		}
	}`)
	b := signedIn(t, r)
	session := http.Header{"Cookie": {b.cookieHeader()}}
	foreign := http.Header{"Cookie": session["Cookie"], "Origin": {"https://evil.test"}}
	h := r.handlers()[0]
	for _, row := range []struct {
		name, path string
		protocol   string
		header     http.Header
		status     int // 0: it reaches the application
		user       string
	}{
		{"a public page", "/public/x", "websocket", nil, 0, ""},
		{"a public page with a session", "/public/x", "websocket", session, 0, "alice"},
		{"a private page with a session", "/x", "websocket", session, 0, "alice"},
		{"a private page without a session", "/x", "websocket", nil, http.StatusUnauthorized, ""},
		{"a public page, opened by another site", "/public/x", "websocket", foreign, 0, ""},
		{"a private page, opened by another site", "/x", "websocket", foreign, http.StatusForbidden, ""},
		{"another protocol", "/public/x", "connect-udp", session, http.StatusMethodNotAllowed, ""},
		{"another case", "/public/x", "WebSocket", session, http.StatusMethodNotAllowed, ""},
		{"a list", "/public/x", "websocket,h2c", session, http.StatusMethodNotAllowed, ""},
		{"no protocol", "/public/x", "", session, http.StatusMethodNotAllowed, ""},
		{"no path", "", "", session, http.StatusMethodNotAllowed, ""},
		{"a WebSocket without a path", "", "websocket", session, http.StatusMethodNotAllowed, ""},
		{"the logout", "/Special:UserLogout", "websocket", session, http.StatusMethodNotAllowed, ""},
		{"an endpoint", "/@app/auth/default/login", "websocket", session, http.StatusMethodNotAllowed, ""},
	} {
		for _, major := range []int{2, 3} {
			header := row.header.Clone()
			if header == nil {
				header = make(http.Header)
			}
			header["X-User"] = []string{"admin"}
			passed := false
			w, err := connect(h, row.path, major, row.protocol, header, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
				passed = true
				if r.Method != http.MethodConnect || !opensWebSocket(r) || strings.Join(r.Header["X-User"], ",") != row.user || len(r.Header["Cookie"]) > 0 {
					t.Errorf("%s, HTTP/%d: the application gets %s %v", row.name, major, r.Method, r.Header)
				}
				return nil
			}))
			if err != nil || passed != (row.status == 0) || !passed && w.Code != row.status {
				t.Errorf("%s, HTTP/%d: passed %v, status %d, %v", row.name, major, passed, w.Code, err)
			}
		}
	}
}

// Fault A4, invariant 3. A proxy removes what Connection names, also of a request that becomes a
// WebSocket: the name of the user must not be among it.
func TestAWebSocketDropsNoIdentity(t *testing.T) {
	t.Parallel()
	a := newTunnel(t)
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), strings.NewReplacer("PROVIDER", options(op), "TUNNEL", a.Addr().String()).Replace(`
http://rp.test {
	oidc_rp {
		PROVIDER
		upstream {
			header X-User {http.auth.user.id}
		}
	}
	handle /page {
		reverse_proxy {upstream}
	}
	reverse_proxy TUNNEL
}`))

	b := r.browser()
	if p := b.open("/page"); p.StatusCode != http.StatusOK {
		t.Fatalf("sign-in ends with status %d", p.StatusCode)
	}
	for _, connection := range []string{"Upgrade, X-User", "X-User, Upgrade", "Upgrade, x_user", "Upgrade\r\nConnection: X-User"} {
		_, tunnelled := upgraded(t, r, "GET /x HTTP/1.1\r\nHost: rp.test\r\nCookie: "+b.cookieHeader()+"\r\nConnection: "+connection+"\r\nUpgrade: websocket\r\n\r\n")
		if got := a.got(); !tunnelled || got == nil || got.Header.Get("X-User") != "alice" {
			t.Errorf("Connection: %q: tunnel %v, the application got %v, expected X-User: alice", connection, tunnelled, got)
		}
	}
}
