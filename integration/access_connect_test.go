package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
)

// CONNECT, which asks for a tunnel, is refused on every path of every instance.
func TestConnectIsRefused(t *testing.T) {
	t.Parallel()
	r, a, b := upgradeRig(t)
	for _, target := range []string{"/robots.txt", "/x", "/uncovered/x", "/outer/x", "/own-errors/x", "/@app/auth/default/login", "/Special:UserLogout", "rp.test:443"} {
		for _, header := range []string{"", fields("Connection: Upgrade", "Upgrade: websocket")} {
			name := fmt.Sprintf("CONNECT %s %q", target, header)
			status, tunnelled := upgraded(t, r, "CONNECT "+target+" HTTP/1.1", "Host: rp.test", "Cookie: "+b.cookieHeader(), header)
			equal(t, name+": the status", status, http.StatusMethodNotAllowed)
			equal(t, name+": a tunnel", tunnelled, false)
			a.receivedNone(t, name)
		}
	}
	check(t, b.get("/signed-in"), "a page of the user afterwards").status(http.StatusOK)
}

// opensWebSocket reports whether an application would treat a request as the opening of a
// WebSocket (RFC 8441, RFC 9220).
func opensWebSocket(r *http.Request) bool {
	if r.ProtoMajor == 3 {
		return r.Proto == "websocket"
	}
	return slices.Equal(r.Header[":protocol"], []string{"websocket"})
}

// connect serves a CONNECT request in the form in which Go's HTTP/2 server and quic-go pass it
// on.
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

// An extended CONNECT that opens a WebSocket is judged as a GET of its path.
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
		status     int // 0 if it reaches the application
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
			name := fmt.Sprintf("%s, HTTP/%d", row.name, major)
			passed := false
			w, err := connect(h, row.path, major, row.protocol, header, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
				passed = true
				equal(t, name+": the method", r.Method, http.MethodConnect)
				equal(t, name+": the request opens a WebSocket", opensWebSocket(r), true)
				equal(t, name+": X-User", strings.Join(r.Header["X-User"], ","), row.user)
				list(t, name+": Cookie", r.Header["Cookie"])
				return nil
			}))
			succeeds(t, name, err)
			equal(t, name+": the request passes", passed, row.status == 0)
			if !passed {
				equal(t, name+": the status", w.Code, row.status)
			}
		}
	}
}
