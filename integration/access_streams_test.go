package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestStreamsAndUpgradesPassTheResponder: an event stream is flushed, early
// hints come before it, and a WebSocket is upgraded.
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
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := buffer.ReadString('\n')
			fmt.Fprint(conn, line)
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
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
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET /x HTTP/1.1\r\nHost: rp.test\r\n%sCookie: %s\r\n\r\n", extra, b.cookieHeader())
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
	if err != nil || event != "data: 1\n" || stream.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("the stream has %q, %v, %v", event, err, stream.Header)
	}
	conn, reader, upgraded := request("Connection: Upgrade\r\nUpgrade: echo\r\n")
	fmt.Fprint(conn, "hello\n")
	if line, err := reader.ReadString('\n'); upgraded.StatusCode != http.StatusSwitchingProtocols || line != "hello\n" {
		t.Errorf("status %d, %q, %v", upgraded.StatusCode, line, err)
	}
}

func TestEarlyDataSpendsNothing(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"}")
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
