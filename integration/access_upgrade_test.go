package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

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
