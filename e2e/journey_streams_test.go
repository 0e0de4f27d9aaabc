package e2e

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// webSockets is an application of WebSockets over HTTP/1.1. Those at /flood send as much
// as they can; all others echo what they receive.
type webSockets struct {
	mu     sync.Mutex
	opened []string // user and path
	closed []string
}

func serveWebSockets(w *world) *webSockets {
	a, pages := &webSockets{}, w.app.server.Config.Handler
	sockets := websocket.Server{Handler: func(conn *websocket.Conn) {
		who := conn.Request().Header.Get("X-User") + " " + conn.Request().URL.Path
		a.note(&a.opened, who)
		if conn.Request().URL.Path == "/flood" {
			for data := make([]byte, 4096); ; {
				if _, err := conn.Write(data); err != nil {
					break
				}
			}
		} else {
			_, _ = io.Copy(conn, conn)
		}
		a.note(&a.closed, who)
	}}
	w.app.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			sockets.ServeHTTP(rw, r)
			return
		}
		pages.ServeHTTP(rw, r)
	})
	return a
}

func (a *webSockets) note(in *[]string, who string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*in = append(*in, who)
}

// list returns opened or closed in order.
func (a *webSockets) list(of *[]string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(slices.Sorted(slices.Values(*of)), ", ")
}

// repeats fails unless the WebSocket of a stream echoes a text.
func (c *h2Client) repeats(id uint32, text string) {
	c.t.Helper()
	mask, s := [4]byte{1, 2, 3, 4}, c.streams[id]
	frame := append([]byte{0x81, 0x80 | byte(len(text))}, mask[:]...)
	for i := range len(text) {
		frame = append(frame, text[i]^mask[i%4])
	}
	expected := append([]byte{0x81, byte(len(text))}, text...)
	s.data = nil
	c.sent(c.framer.WriteData(id, false, frame))
	c.await(10*time.Second, "what the application repeats", func() bool { return len(s.data) >= len(expected) || s.end != "" })
	if !bytes.Equal(s.data, expected) || s.end != "" {
		c.t.Fatalf("expected an open stream and the frame %q, seen %q and the end %q", expected, s.data, s.end)
	}
}

// WebSockets over HTTP/2 end with their session, even if the client no longer reads.
// Those of other sessions on the same connection continue.
func TestStreamsOfExtendedConnectEndWithTheirSession(t *testing.T) {
	t.Parallel()
	const ofAlice = "alice /flood, alice /quiet, alice /talk"
	s := site{tls: true}
	w := newWorld(t, zitadel, s)
	application := serveWebSockets(w)
	w.caddy.env = append(w.caddy.env, "GODEBUG=http2xconnect=1")
	w.op.start(t)
	w.startCaddy(s)
	alice, bob := w.newBrowser(), w.newBrowser()
	alice.signIn("/mine", "alice").isFor("alice", "/mine")
	bob.signIn("/mine", "bob").isFor("bob", "/mine")

	client := newH2Client(t, w)
	if !client.offersConnect() {
		t.Fatal("the server does not offer extended CONNECT, which this test is about")
	}
	open := func(b *browser, path string) uint32 {
		t.Helper()
		id, stream := client.open(append(webSocketConnect(w, path), "origin", w.base, "cookie", b.cookieHeader())...)
		if stream.status != "200" {
			t.Fatalf("%s: expected status 200, seen %s", path, stream.status)
		}
		return id
	}
	spoken, quiet, flooded := open(alice, "/talk"), open(alice, "/quiet"), open(alice, "/flood")
	others := open(bob, "/talk")
	client.await(busy*10*time.Second, "the window of the flood is full", func() bool { return len(client.streams[flooded].data) == 65535 })
	for range 3 {
		client.repeats(spoken, "alice is here")
		client.repeats(others, "bob is here")
		time.Sleep(time.Second) // meanwhile Caddy checks the sessions of the streams
	}
	eventually(t, 5*time.Second, "all WebSockets are open at the application", func() bool {
		return application.list(&application.opened) == ofAlice+", bob /talk"
	})
	if closed := application.list(&application.closed); closed != "" {
		t.Errorf("before the logout: expected no closed WebSocket, seen %s", closed)
	}

	left := time.Now()
	alice.open(logoutPath).signOut()
	for what, id := range map[string]uint32{"a stream in use": spoken, "a quiet stream": quiet, "a stream that is not read": flooded} {
		client.await(time.Until(left.Add(busy*5*time.Second)), what+" ends", func() bool { return client.streams[id].end != "" })
		t.Logf("%s: %s, seen %v after the logout", what, client.streams[id].end, time.Since(left).Round(time.Millisecond))
	}
	eventually(t, time.Until(left.Add(busy*5*time.Second)), "the user's WebSockets are closed at the application", func() bool {
		return application.list(&application.closed) == ofAlice
	})
	eventually(t, 10*time.Second, "Caddy has finished with the user's requests", func() bool { return w.finishedConnects() == 3 })
	for range 3 {
		client.repeats(others, "bob still is")
		time.Sleep(time.Second)
	}
	if status := client.request(append(webSocketConnect(w, "/talk"), "origin", w.base, "cookie", alice.cookieHeader())...); status != http.StatusUnauthorized {
		t.Errorf("after the logout: expected status 401, seen %d", status)
	}
	if closed := application.list(&application.closed); closed != ofAlice {
		t.Errorf("in the end: expected these closed WebSockets: %s, seen %s", ofAlice, closed)
	}
}

// finishedConnects counts the CONNECT requests in Caddy's access log. Caddy logs a
// request once it is over.
func (w *world) finishedConnects() (n int) {
	for _, line := range w.caddy.lines() {
		if strings.Contains(line, `"http.log.access`) && strings.Contains(line, `"method":"CONNECT"`) {
			n++
		}
	}
	return n
}
