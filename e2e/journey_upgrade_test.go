package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// newHypercorn starts an application server that accepts upgrades to h2c by default.
func newHypercorn(t *testing.T) (address string, server *process) {
	t.Helper()
	const program = "hypercorn/.venv/bin/hypercorn"
	needFile(t, program)
	address = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	server = spawn(t, "hypercorn", []string{"PYTHONPATH=hypercorn"}, program, "--workers", "0", "--bind", address, "app:app")
	eventually(t, 30*time.Second, "hypercorn serves", func() bool {
		answer, err := http.Get("http://" + address + "/up")
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil
	})
	return address, server
}

const h2cUpgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"

// tunnelled sends a request for an upgrade to h2c and then, whatever the response, HTTP/2
// frames that request a path as admin. It returns the first response's status and
// everything after it.
func tunnelled(t *testing.T, address, request, path string) (status int, all string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(busy * 5 * time.Second))
	fmt.Fprint(conn, request)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, answer.Body)
	}
	_, _ = conn.Write(h2Request(path, conn.RemoteAddr().String()))
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	rest, _ := io.ReadAll(reader)
	return answer.StatusCode, string(rest)
}

// h2Request returns the client's side of an HTTP/2 connection after an upgrade: the
// preface, empty settings, and a GET on stream 3 (RFC 9113, RFC 7541).
func h2Request(path, authority string) []byte {
	var block bytes.Buffer
	literal := func(texts ...string) {
		for _, text := range texts {
			block.WriteByte(byte(len(text)))
			block.WriteString(text)
		}
	}
	block.Write([]byte{0x82, 0x86, 0x04}) // :method GET, :scheme http, :path
	literal(path)
	block.WriteByte(0x01) // :authority
	literal(authority)
	block.WriteByte(0x00)
	literal("x-user", "admin")
	frames := bytes.NewBufferString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frame := func(kind, flags byte, stream uint32, payload []byte) {
		header := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		header = binary.BigEndian.AppendUint32(append(header, flags), stream)
		frames.Write(append(header, payload...))
	}
	frame(4, 0, 0, nil)
	frame(1, 0x5, 3, block.Bytes()) // END_STREAM, END_HEADERS
	return frames.Bytes()
}

// An upgrade to h2c would be a tunnel past the guard, in which any client could request
// anything as any user.
func TestAnUpgradeIsNoTunnelPastTheGuard(t *testing.T) {
	t.Parallel()
	application, server := newHypercorn(t)
	const secret = "http HTTP/2 /secret as 'admin'"
	status, all := tunnelled(t, application, "GET /robots.txt HTTP/1.1\r\nHost: x\r\n"+h2cUpgrade+"\r\n", "/secret")
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("without a guard: expected a tunnel, which this test is about, seen status %d", status)
	}
	if !strings.Contains(all, secret) {
		t.Fatalf("without a guard: expected the secret page through the tunnel, seen %q", all)
	}
	asked := strings.Count(server.log.String(), secret)

	s := site{options: `public /robots.txt /chat
	preflight pass
	upstream {
		header X-User {http.auth.user.id}
	}`}
	w := newWorld(t, zitadel, s)
	w.op.start(t)
	w.startCaddyWith(s, strings.ReplaceAll(w.site(w.base, s), w.app.addr(), application))
	caddy := mustParse(w.base).Host
	b := w.newBrowser()
	if p := b.signIn("/mine", "alice"); !strings.Contains(p.body, "http HTTP/1.1 /mine as 'alice'") {
		t.Fatalf("alice sees %d %q", p.status, p.body)
	}
	session := "Cookie: oidc_rp=" + b.cookie("oidc_rp") + "\r\n"
	start := func(line string) string { return line + " HTTP/1.1\r\nHost: " + caddy + "\r\n" }
	for name, request := range map[string]string{
		"a public page":      start("GET /robots.txt") + h2cUpgrade,
		"a user's page":      start("GET /mine") + session + h2cUpgrade,
		"a preflight":        start("OPTIONS /mine") + "Origin: http://elsewhere.test\r\nAccess-Control-Request-Method: GET\r\n" + h2cUpgrade,
		"a private page":     start("GET /mine") + h2cUpgrade,
		"a list":             start("GET /robots.txt") + strings.Replace(h2cUpgrade, "h2c", "websocket, h2c", 1),
		"a list, h2c first":  start("GET /robots.txt") + strings.Replace(h2cUpgrade, "h2c", "h2c, websocket", 1),
		"two lines":          start("GET /robots.txt") + strings.Replace(h2cUpgrade, "Upgrade: h2c", "Upgrade: websocket\r\nUpgrade: h2c", 1),
		"capitals and space": start("GET /robots.txt") + strings.Replace(h2cUpgrade, "Upgrade: h2c", "uPGRADE: \tH2C ", 1),
		"no Connection":      start("GET /robots.txt") + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
		"CONNECT":            start("CONNECT /robots.txt") + h2cUpgrade,
	} {
		status, all := tunnelled(t, caddy, request+"\r\n", "/secret")
		if status == http.StatusSwitchingProtocols {
			t.Errorf("%s: expected no tunnel, seen status 101", name)
		}
		if strings.Contains(all, secret) {
			t.Errorf("%s: expected nothing of the secret page, seen %q", name, all)
		}
	}
	if again := strings.Count(server.log.String(), secret); again != asked {
		t.Errorf("the application was asked for the secret page:\n%s", server.log.String())
	}

	// A WebSocket still opens.
	conn, err := net.Dial("tcp", caddy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(busy * 10 * time.Second))
	fmt.Fprint(conn, start("GET /chat")+session+"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nOrigin: "+w.base+"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("a WebSocket: %v", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("a WebSocket: expected status 101, seen %d", answer.StatusCode)
	}
	if said, _ := io.ReadAll(reader); !strings.Contains(string(said), "websocket HTTP/1.1 /chat as 'alice'") {
		t.Errorf("the WebSocket says %q", said)
	}
}
