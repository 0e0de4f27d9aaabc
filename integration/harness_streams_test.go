package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// streamApp is an application with streams. Most of them send a line at intervals. The quiet
// ones send only one line.
type streamApp struct {
	open atomic.Int64 // streams that are open at the application
}

// serveStreams makes the application of a harness serve streams.
func serveStreams(r *harness) *streamApp {
	a := new(streamApp)
	r.upstream.mu.Lock()
	defer r.upstream.mu.Unlock()
	plain := r.upstream.answer
	r.upstream.answer = func(w http.ResponseWriter, q *http.Request) {
		tick := 20 * time.Millisecond
		if strings.Contains(q.URL.Path, "quiet") {
			tick = time.Hour
		}
		switch {
		case q.Header.Get("Upgrade") == "websocket":
			a.serveWebSocket(w, tick)
		case strings.Contains(q.URL.Path, "events"), strings.Contains(q.URL.Path, "download"):
			kind := "text/event-stream; charset=utf-8"
			if strings.Contains(q.URL.Path, "download") {
				kind = "application/octet-stream"
			}
			w.Header().Set("Content-Type", kind)
			a.tick(tick, q.Context().Done(), func() error {
				fmt.Fprint(w, "data: tick\n\n")
				return http.NewResponseController(w).Flush()
			})
		case plain != nil:
			plain(w, q)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "application sees %s", q.Header.Get("X-User"))
		}
	}
	return a
}

func (a *streamApp) serveWebSocket(w http.ResponseWriter, tick time.Duration) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, rawRequest("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"))
	over := make(chan struct{})
	go func() {
		defer close(over)
		for buffer := make([]byte, 64); ; {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
		}
	}()
	a.tick(tick, over, func() error {
		_, err := fmt.Fprint(conn, "tick\n")
		return err
	})
}

// tick calls send at intervals until it fails or the stream ends.
func (a *streamApp) tick(every time.Duration, over <-chan struct{}, send func() error) {
	a.open.Add(1)
	defer a.open.Add(-1)
	for send() == nil {
		select {
		case <-over:
			return
		case <-time.After(every):
		}
	}
}

// stream is an open stream of a client.
type stream struct {
	t     testing.TB
	name  string
	conn  net.Conn
	lines atomic.Int64 // lines received
	ended chan struct{}
}

// streamKind is a way to open a stream.
type streamKind struct {
	name, path string
	header     string // more header lines
	quiet      bool
}

var (
	webSocketLines = fields("Connection: Upgrade", "Upgrade: websocket")
	streamKinds    = []streamKind{
		{"a WebSocket", "/ws", webSocketLines, false},
		{"a quiet WebSocket", "/quiet-ws", webSocketLines, true},
		{"an event stream", "/events", "Accept: text/event-stream", false},
		{"a quiet event stream", "/quiet-events", "Accept: text/event-stream", true},
		{"an event stream of fetch", "/events", "Accept: */*", false},
		{"a quiet event stream of fetch", "/quiet-events", "Accept: */*", true},
		{"a WebSocket on a public route", "/open/ws", webSocketLines, false},
		{"a quiet event stream on a public route", "/open/quiet-events", "Accept: text/event-stream", true},
	}
)

// streamTLS resumes TLS sessions, which saves time when there are many streams.
var streamTLS = &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(0)}

// stream opens a stream with cookies.
func (r *harness) stream(t testing.TB, kind streamKind, cookies string) *stream {
	t.Helper()
	conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), streamTLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprint(conn, rawRequest("GET "+kind.path+" HTTP/1.1", "Host: rp.test", kind.header, "Cookie: "+cookies))
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%s: %v", kind.name, err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		equal(required{t}, kind.name+": the status", response.StatusCode, http.StatusOK)
		reader = bufio.NewReader(response.Body)
	}
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatalf("%s: %v", kind.name, err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	s := &stream{t: t, name: kind.name, conn: conn, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for {
			if _, err := reader.ReadString('\n'); err != nil {
				return
			}
			s.lines.Add(1)
		}
	}()
	return s
}

// ends expects the stream to end soon.
func (s *stream) ends(why string) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Errorf("%s: expected %s to end within %s", why, s.name, patience)
	}
}

// goesOn expects the stream to stay open for as long as others take to end.
func (s *stream) goesOn(why string) {
	s.t.Helper()
	select {
	case <-s.ended:
		s.t.Errorf("%s: expected %s to go on", why, s.name)
	case <-time.After(2500 * time.Millisecond):
	}
}

// streams opens one stream of each kind.
func (r *harness) streams(t testing.TB, cookies string) (all []*stream) {
	t.Helper()
	for _, kind := range streamKinds {
		all = append(all, r.stream(t, kind, cookies))
	}
	return all
}
