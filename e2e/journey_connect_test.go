package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2Client speaks HTTP/2 frame by frame, because Go's client cannot send an extended
// CONNECT (RFC 8441).
type h2Client struct {
	t       *testing.T
	conn    *tls.Conn
	framer  *http2.Framer
	headers *hpack.Encoder
	block   bytes.Buffer
	last    uint32 // the stream that was opened last

	settled, connects bool // the server's settings have arrived; they allow an extended CONNECT
	streams           map[uint32]*h2Stream
}

// An h2Stream is what the server has sent on a stream.
type h2Stream struct {
	status string
	data   []byte
	end    string // how it ended; "" while it is open
}

func newH2Client(t *testing.T, w *world) *h2Client {
	t.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+mustParse(w.base).Port(), &tls.Config{RootCAs: w.roots(), ServerName: "rp.localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &h2Client{t: t, conn: conn, framer: http2.NewFramer(conn, conn), streams: map[uint32]*h2Stream{}}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.headers = hpack.NewEncoder(&c.block)
	_, err = conn.Write([]byte(http2.ClientPreface))
	c.sent(err)
	c.sent(c.framer.WriteSettings())
	c.sent(c.framer.WriteWindowUpdate(0, 1<<24)) // large, so that a stream's own window fills first
	return c
}

func (c *h2Client) sent(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// await reads frames until the condition holds.
func (c *h2Client) await(limit time.Duration, what string, condition func() bool) {
	c.t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(limit))
	for !condition() {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		c.take(frame)
	}
}

func (c *h2Client) take(frame http2.Frame) {
	c.t.Helper()
	s := c.streams[frame.Header().StreamID]
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			value, _ := f.Value(http2.SettingEnableConnectProtocol)
			c.settled, c.connects = true, value == 1
			c.sent(c.framer.WriteSettingsAck())
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.sent(c.framer.WritePing(true, f.Data))
		}
	case *http2.GoAwayFrame:
		c.t.Fatalf("the server ends the connection: %v", f.ErrCode)
	case *http2.MetaHeadersFrame:
		s.status = f.PseudoValue("status")
		if f.StreamEnded() {
			s.end = "END_STREAM"
		}
	case *http2.DataFrame:
		s.data = append(s.data, f.Data()...)
		if f.StreamEnded() {
			s.end = "END_STREAM"
		}
	case *http2.RSTStreamFrame:
		if s.end == "" {
			s.end = fmt.Sprint("RST_STREAM ", f.ErrCode)
		}
	}
}

// offersConnect reports whether the server's settings allow an extended CONNECT.
func (c *h2Client) offersConnect() bool {
	c.t.Helper()
	c.await(10*time.Second, "the server's settings", func() bool { return c.settled })
	return c.connects
}

// open sends a header of name and value pairs and returns the stream once its status has
// arrived.
func (c *h2Client) open(pairs ...string) (id uint32, s *h2Stream) {
	c.t.Helper()
	c.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = c.headers.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	c.last += 2
	id, s = c.last-1, &h2Stream{}
	c.streams[id] = s
	c.sent(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true}))
	c.await(10*time.Second, "a status", func() bool { return s.status != "" || s.end != "" })
	if s.status == "" {
		c.t.Fatalf("the stream has ended without a status: %s", s.end)
	}
	return id, s
}

// request sends a header, cancels the stream, and returns the status.
func (c *h2Client) request(pairs ...string) int {
	c.t.Helper()
	id, s := c.open(pairs...)
	if s.end == "" {
		c.sent(c.framer.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	status, err := strconv.Atoi(s.status)
	c.sent(err)
	return status
}

// webSocketConnect returns the header of an extended CONNECT for a WebSocket.
func webSocketConnect(w *world, path string) []string {
	return []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", path, ":authority", mustParse(w.base).Host, "sec-websocket-version", "13"}
}

// An extended CONNECT opens a WebSocket over HTTP/2. The guard treats it as a GET of its
// path and refuses any other CONNECT.
func TestAnExtendedConnectIsGuarded(t *testing.T) {
	t.Parallel()
	s := site{tls: true, options: "\t\tpublic /open"}
	w := newWorld(t, zitadel, s)
	w.caddy.env = append(w.caddy.env, "GODEBUG=http2xconnect=1")
	w.op.start(t)
	w.startCaddy(s)
	b := w.newBrowser()
	b.signIn("/mine", "alice").isFor("alice", "/mine")
	session := []string{"cookie", "__Host-oidc_rp=" + b.cookie("__Host-oidc_rp")}
	if session[1] == "__Host-oidc_rp=" {
		t.Fatal("the browser has no session cookie")
	}
	client := newH2Client(t, w)
	if !client.offersConnect() {
		t.Fatal("the server does not offer extended CONNECT, which this test is about")
	}
	authority := mustParse(w.base).Host
	websocket := func(path string) []string { return webSocketConnect(w, path) }
	join := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	for _, tc := range []struct {
		name    string
		header  []string
		status  int
		reaches bool
	}{
		{"without a session", websocket("/mine"), http.StatusUnauthorized, false},
		{"with a session", join(websocket("/mine"), session), http.StatusOK, true},
		{"with a session, of this site's page", join(websocket("/mine"), session, []string{"origin", w.base}), http.StatusOK, true},
		{"with a session, of another site's page", join(websocket("/mine"), session, []string{"origin", "https://elsewhere.test"}), http.StatusForbidden, false},
		{"of a public path", websocket("/open"), http.StatusOK, true},
		{"of an endpoint", websocket("/@app/auth/default/login"), http.StatusMethodNotAllowed, false},
		{"to another protocol", join([]string{":method", "CONNECT", ":protocol", "connect-udp", ":scheme", "https", ":path", "/open", ":authority", authority}, session), http.StatusMethodNotAllowed, false},
		{"that is no extended one", []string{":method", "CONNECT", ":authority", authority}, http.StatusMethodNotAllowed, false},
	} {
		before := w.app.hits()
		if status := client.request(tc.header...); status != tc.status {
			t.Errorf("a CONNECT %s: expected status %d, seen %d", tc.name, tc.status, status)
		}
		if reached := w.app.hits() > before; reached != tc.reaches {
			t.Errorf("a CONNECT %s: expected to reach the application: %v, seen: %v", tc.name, tc.reaches, reached)
		}
	}
}
