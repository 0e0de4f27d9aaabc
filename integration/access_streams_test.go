package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStreamsAndUpgradesPassTheResponder checks that an event stream is flushed, that early
// hints arrive before it, and that a WebSocket is upgraded.
func TestStreamsAndUpgradesPassTheResponder(t *testing.T) {
	t.Parallel()
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	upgrades echo
}
`)
	b := signedIn(t, r)
	release := make(chan struct{})
	r.upstream.mu.Lock()
	r.upstream.answer = func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") != "" {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, rawRequest("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: echo"))
			line, _ := buffer.ReadString('\n')
			fmt.Fprint(conn, line)
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintln(w, "data: 1")
		fmt.Fprintln(w)
		_ = http.NewResponseController(w).Flush()
		<-release
	}
	r.upstream.mu.Unlock()
	request := func(extra string) (net.Conn, *bufio.Reader, *http.Response) {
		conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(conn, rawRequest("GET /x HTTP/1.1", "Host: rp.test", extra, "Cookie: "+b.cookieHeader()))
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode == http.StatusEarlyHints {
			if response, err = http.ReadResponse(reader, nil); err != nil {
				t.Fatal(err)
			}
		}
		return conn, reader, response
	}
	_, _, stream := request("")
	event, err := bufio.NewReader(stream.Body).ReadString('\n')
	close(release)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the event", strings.TrimSuffix(event, "\n"), "data: 1")
	equal(t, "Cache-Control", stream.Header.Get("Cache-Control"), "private, no-cache")
	conn, reader, upgraded := request(fields("Connection: Upgrade", "Upgrade: echo"))
	fmt.Fprintln(conn, "hello")
	line, err := reader.ReadString('\n')
	succeeds(t, "reading the line", err)
	equal(t, "the status", upgraded.StatusCode, http.StatusSwitchingProtocols)
	equal(t, "the line", strings.TrimSuffix(line, "\n"), "hello")
}

func TestEarlyDataSpendsNothing(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	for path, want := range map[string]int{"/@app/auth/default/code?state=x&code=y": http.StatusTooEarly, "/Special:UserLogout": http.StatusTooEarly, "/@app/auth/default/login": http.StatusFound} {
		w := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, rpURL+path, nil)
		request.TLS = &tls.ConnectionState{HandshakeComplete: false}
		r.server.Config.Handler.ServeHTTP(w, request)
		if w.Code != want {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}
