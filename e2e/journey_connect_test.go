package e2e

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2Client speaks HTTP/2 frame by frame, since Go's client sends no extended
// CONNECT (RFC 8441).
type h2Client struct {
	t       *testing.T
	conn    *tls.Conn
	framer  *http2.Framer
	headers *hpack.Encoder
	block   bytes.Buffer
	stream  uint32
}

func newH2Client(t *testing.T, w *world) *h2Client {
	t.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+mustParse(w.base).Port(), &tls.Config{RootCAs: w.roots(), ServerName: "rp.localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &h2Client{t: t, conn: conn, framer: http2.NewFramer(conn, conn), stream: 1}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.headers = hpack.NewEncoder(&c.block)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := c.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// offersConnect reports whether the server's settings allow an extended CONNECT.
func (c *h2Client) offersConnect() bool {
	c.t.Helper()
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.t.Fatal(err)
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			value, _ := settings.Value(http2.SettingEnableConnectProtocol)
			return value == 1
		}
	}
}

// request sends a header of name and value pairs, and returns the status.
func (c *h2Client) request(pairs ...string) int {
	c.t.Helper()
	c.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = c.headers.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	stream := c.stream
	c.stream += 2
	if err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndHeaders: true}); err != nil {
		c.t.Fatal(err)
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID != stream {
				continue
			}
			status, err := strconv.Atoi(f.PseudoValue("status"))
			if err != nil {
				c.t.Fatal(err)
			}
			_ = c.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
			return status
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				c.t.Fatalf("the stream was reset: %v", f.ErrCode)
			}
		}
	}
}

// Fault A13: an extended CONNECT opens a WebSocket over HTTP/2. The guard judges
// it as a GET of its path, and refuses any other CONNECT.
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
	websocket := func(path string) []string {
		return []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", path, ":authority", authority, "sec-websocket-version", "13"}
	}
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
