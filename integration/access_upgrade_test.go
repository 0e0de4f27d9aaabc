package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// An upgraded connection is a tunnel that bypasses the guard, so only WebSockets and protocols
// listed in upgrades become one.
func TestOnlyAWebSocketBecomesATunnel(t *testing.T) {
	t.Parallel()
	r, a, b := upgradeRig(t)
	const host = "Host: rp.test"
	session := "Cookie: " + b.cookieHeader()
	places := []struct{ name, start string }{
		{"a public route", fields("GET /robots.txt HTTP/1.1", host)},
		{"a private page of a signed-in user", fields("GET /x HTTP/1.1", host, session)},
		{"what the guard does not cover", fields("GET /uncovered/x HTTP/1.1", host)},
		{"a public site", fields("GET /outer/x HTTP/1.1", host)},
		{"a preflight that passes", fields("OPTIONS /x HTTP/1.1", host, "Origin: https://rp.test", "Access-Control-Request-Method: GET")},
		{"an error page of the application's", fields("GET /own-errors/x HTTP/1.1", host)},
		{"a POST", fields("POST /robots.txt HTTP/1.1", "Content-Length: 0", host)},
	}
	for _, place := range places {
		for _, header := range []string{
			fields("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
			fields("Connection: Upgrade", "Upgrade: h2c"),
			fields("connection: uPGRADE", "uPGRADE: H2C"),
			fields("Connection: keep-alive, Upgrade", "Upgrade: websocket, h2c"),
			fields("Connection: Upgrade", "Upgrade: h2c, websocket"),
			fields("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
			fields("Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
			fields("Connection: Upgrade", "Connection: HTTP2-Settings", "Upgrade: \t h2c \t", "HTTP2-Settings: AAMAAABkAAQAAP__"),
			fields("Connection: Upgrade", "Upgrade: websocket h2c"),
			fields("Connection: Upgrade", "Upgrade: websocket;h2c"),
			fields("Connection: Upgrade", "Upgrade: ,websocket"),
			fields("Connection: Upgrade", "Upgrade: websocket/13"),
			fields("Connection: Upgrade", `Upgrade: "websocket"`),
			fields("Connection: Upgrade", "Upgrade: TLS/1.0"),
			fields("Connection: Upgrade", "Upgrade: HTTP/2.0"),
			fields("Connection: Upgrade", "Upgrade: connect-udp"),
			fields("Connection: Upgrade", "Upgrade:"),
			fields("Connection: Upgrade"),
			fields("Connection: close, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
			fields("Upgrade: websocket"),
			fields("Connection: close", "Upgrade: websocket"),
		} {
			name := fmt.Sprintf("%s, %q", place.name, header)
			_, tunnelled := upgraded(t, r, place.start, header)
			equal(t, name+": a tunnel", tunnelled, false)
			got := a.received(t, name)
			equal(t, name+": Upgrade", got.Header.Get("Upgrade"), "")
			equal(t, name+": HTTP2-Settings", got.Header.Get("HTTP2-Settings"), "")
			equal(t, name+": Connection", got.Header.Get("Connection"), "")
		}
		name := place.name + ", HTTP/1.0"
		_, tunnelled := upgraded(t, r, strings.Replace(place.start, "HTTP/1.1", "HTTP/1.0", 1), "Connection: Upgrade", "Upgrade: websocket")
		equal(t, name+": a tunnel", tunnelled, false)
		equal(t, name+": Upgrade", a.received(t, name).Header.Get("Upgrade"), "")
	}
}

func TestWhatMayBecomeATunnel(t *testing.T) {
	t.Parallel()
	r, a, b := upgradeRig(t)
	session := "Cookie: " + b.cookieHeader()
	preflight := fields("Origin: https://rp.test", "Access-Control-Request-Method: GET", "Connection: Upgrade", "Upgrade: websocket")
	for _, path := range []string{"/x", "/robots.txt", "/outer/x", "/uncovered/x"} {
		_, tunnelled := upgraded(t, r, "OPTIONS "+path+" HTTP/1.1", "Host: rp.test", preflight)
		equal(t, "a preflight to "+path+": a tunnel", tunnelled, false)
		a.received(t, "a preflight to "+path)
	}
	for _, row := range []struct {
		path, header string
		want         bool
	}{
		{"/robots.txt", fields("Connection: Upgrade", "Upgrade: websocket"), true},
		{"/robots.txt", fields("Connection: keep-alive, upgrade", "Upgrade:  WebSocket "), true},
		{"/x", fields(session, "Connection: Upgrade", "Upgrade: websocket"), true},
		{"/x", fields(session, "Connection: Upgrade", "Upgrade: websocket", "Origin: https://rp.test"), true},
		{"/x", fields("Connection: Upgrade", "Upgrade: websocket"), false},
		{"/uncovered/x", fields("Connection: Upgrade", "Upgrade: websocket"), true},
		// Protocols listed in upgrades, where they are listed.
		{"/robots.txt", fields("Connection: Upgrade", "Upgrade: spdy/3.1"), true},
		{"/x", fields(session, "Connection: Upgrade", "Upgrade: TCP"), true},
		{"/x", fields(session, "Connection: Upgrade", "Upgrade: SPDY"), false},
		{"/x", fields(session, "Connection: Upgrade", "Upgrade: tcp, SPDY/3.1"), false},
		{"/outer/x", fields("Connection: Upgrade", "Upgrade: SPDY/3.1"), false},
		{"/uncovered/x", fields("Connection: Upgrade", "Upgrade: SPDY/3.1"), true},
		// A response of the application that becomes an error page never opens a tunnel.
		{"/own-errors/x", fields("Connection: Upgrade", "Upgrade: websocket"), false},
		{"/own-errors/x", fields("Connection: Upgrade", "Upgrade: tcp"), false},
		{"/own-errors/x", fields(session, "Connection: Upgrade", "Upgrade: tcp"), true},
	} {
		_, tunnelled := upgraded(t, r, "GET "+row.path+" HTTP/1.1", "Host: rp.test", row.header)
		a.got()
		equal(t, fmt.Sprintf("%s %q: a tunnel", row.path, strings.TrimPrefix(row.header, session)), tunnelled, row.want)
	}
}

// A browser also sends cookies with a WebSocket that another site's page opens.
func TestAWebSocketOfAnotherSiteHasNoUser(t *testing.T) {
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
		header := fields("Connection: Upgrade", "Upgrade: websocket", "X-User: admin", "Cookie: "+b.cookieHeader())
		for _, origin := range row.origins {
			header = fields(header, "Origin: "+origin)
		}
		name := fmt.Sprintf("public, Origin %q", row.origins)
		_, tunnelled := upgraded(t, r, "GET /x HTTP/1.1", "Host: rp.test", header)
		user, known := "alice", "truealice"
		if row.foreign {
			user, known = "", "false"
		}
		equal(t, name+": a tunnel", tunnelled, true)
		got := a.received(t, name)
		equal(t, name+": X-User", got.Header.Get("X-User"), user)
		equal(t, name+": X-Known", got.Header.Get("X-Known"), known)
		equal(t, name+": Cookie", got.Header.Get("Cookie"), "")
		name = fmt.Sprintf("private, Origin %q", row.origins)
		status, tunnelled := upgraded(t, r, "GET /private/x HTTP/1.1", "Host: rp.test", header)
		equal(t, name+": a tunnel", tunnelled, !row.foreign)
		if row.foreign {
			equal(t, name+": the status", status, http.StatusForbidden)
			a.receivedNone(t, name)
		}
		a.got()
	}
}

// A proxy removes the headers that Connection names, even from a request that opens a WebSocket.
// The header with the user's name must not be one of them.
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
	check(required{t}, b.open("/page"), "sign-in").status(http.StatusOK)
	for _, connection := range []string{"Upgrade, X-User", "X-User, Upgrade", "Upgrade, x_user", fields("Upgrade", "Connection: X-User")} {
		name := fmt.Sprintf("Connection: %q", connection)
		_, tunnelled := upgraded(t, r, "GET /x HTTP/1.1", "Host: rp.test", "Cookie: "+b.cookieHeader(), "Connection: "+connection, "Upgrade: websocket")
		equal(t, name+": a tunnel", tunnelled, true)
		equal(t, name+": X-User", a.received(t, name).Header.Get("X-User"), "alice")
	}
}
