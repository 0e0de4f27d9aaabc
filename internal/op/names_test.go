package op

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Record types and response codes of DNS.
const (
	typeA         = 1
	typeAAAA      = 28
	serverFailure = 2
	noSuchName    = 3
)

// nameServer is a DNS server for the names under names.test. All other names do not exist.
type nameServer struct {
	conn net.PacketConn
	fail atomic.Bool // for flaps.names.test
}

// names serves all tests of this package, because Go's default resolver is global.
var names = newNameServer()

func newNameServer() *nameServer {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &nameServer{conn: conn}
	go s.serve()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	return s
}

func (s *nameServer) serve() {
	for {
		query := make([]byte, 1500)
		n, from, err := s.conn.ReadFrom(query)
		if err != nil {
			return
		}
		if answer := s.answer(query[:n]); answer != nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

// answer returns the response to a query with one question (RFC 1035 4), or nil for none.
func (s *nameServer) answer(query []byte) []byte {
	end, labels := 12, []string(nil)
	for query[end] != 0 {
		size := int(query[end])
		labels = append(labels, string(query[end+1:end+1+size]))
		end += 1 + size
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	code, addresses := byte(noSuchName), []net.IP(nil)
	switch strings.Join(labels, ".") {
	case "silent.names.test":
		return nil
	case "flaps.names.test":
		code, addresses = 0, []net.IP{net.IPv4(127, 0, 0, 1)}
		if s.fail.Load() {
			code, addresses = serverFailure, nil
		}
	case "broken6.names.test": // its IPv6 address is unreachable (RFC 6666)
		code, addresses = 0, []net.IP{net.ParseIP("100::1"), net.IPv4(127, 0, 0, 1)}
	}
	message := append([]byte{query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:end+5]...)
	for _, address := range addresses {
		data := []byte(address.To4())
		if data == nil {
			data = address.To16()
		}
		if is6 := len(data) == net.IPv6len; is6 != (kind == typeAAAA) || !is6 && kind != typeA {
			continue
		}
		message[7]++
		message = append(message, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 1, 0, byte(len(data)))
		message = append(message, data...)
	}
	return message
}

// A failed lookup is an error within the timeout, and the next call looks the name up
// again. An unreachable address of several does not fail a call.
//
// See docs/faults.md, row F24.
func TestNamesThatAreNotFound(t *testing.T) {
	t.Parallel()
	const timeout = 20 * time.Second
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	call := func(t *testing.T, host string) (time.Duration, error) {
		t.Helper()
		issuer := fmt.Sprintf("http://%s:%s", host, port)
		client := clientOf(&DiscoveryConfig{Issuer: issuer, Timeout: timeout})
		t.Cleanup(client.CloseIdleConnections)
		began := time.Now()
		_, err := get(t, client, ConfigurationURL(issuer))
		return time.Since(began), err
	}
	t.Run("a name that does not exist", func(t *testing.T) {
		t.Parallel()
		if _, err := call(t, "none.names.test"); err == nil || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("expected an error about no such host, seen %v", err)
		}
	})
	t.Run("a name server that fails now and again", func(t *testing.T) {
		t.Parallel()
		for range 3 {
			names.fail.Store(true)
			if _, err := call(t, "flaps.names.test"); err == nil {
				t.Error("while it fails: expected an error, seen none")
			}
			names.fail.Store(false)
			if _, err := call(t, "flaps.names.test"); err != nil {
				t.Errorf("when it is back: expected no error, seen %v", err)
			}
		}
	})
	t.Run("a name server that never answers", func(t *testing.T) {
		t.Parallel()
		took, err := call(t, "silent.names.test")
		if err == nil {
			t.Error("expected an error, seen none")
		}
		if took > 2*timeout {
			t.Errorf("expected an end within %v, seen %v", timeout, took)
		}
	})
	t.Run("an IPv6 address that leads nowhere", func(t *testing.T) {
		t.Parallel()
		if _, err := call(t, "broken6.names.test"); err != nil {
			t.Errorf("expected the other address to be used, seen %v", err)
		}
	})
}
