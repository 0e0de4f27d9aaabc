package redis

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		deploy func(*testing.T) *Store
		want   string
	}{
		"wrong password": {func(t *testing.T) *Store {
			s := redistest.StartWithPassword(t, "right-secret")
			return &Store{URL: "redis://:wrong-secret@" + s.Addr}
		}, "the user or password is wrong: WRONGPASS"},
		"no password": {func(t *testing.T) *Store {
			s := redistest.StartWithPassword(t, "right-secret")
			return &Store{URL: "redis://" + s.Addr}
		}, "the option password is missing: NOAUTH"},
		"no such database": {func(t *testing.T) *Store {
			return &Store{URL: redistest.Start(t, "--databases", "2").URL() + "/7"}
		}, "DB index is out of range"},
		"node of a cluster": {func(t *testing.T) *Store {
			return &Store{URL: redistest.StartCluster(t)[0].URL()}
		}, "the option cluster is missing: MOVED"},
		"protected mode": {func(t *testing.T) *Store {
			return &Store{URL: "redis://" + says(t, "-DENIED Redis is running in protected mode because…\r\n")}
		}, "the server is in protected mode: DENIED"},
		"Redis 5": {func(t *testing.T) *Store {
			return &Store{URL: "redis://" + says(t, "-ERR unknown command `HELLO`, with args beginning with: `2`\r\n")}
		}, "Redis 6 or Valkey is needed"},
		"another protocol": {func(t *testing.T) *Store {
			return &Store{URL: "redis://" + says(t, "HTTP/1.1 400 Bad Request\r\n\r\n")}
		}, "the answer is not Redis'"},
		"another authority": {func(t *testing.T) *Store {
			s := redistest.StartTLS(t)
			other := redistest.NewCertificates(t)
			return &Store{URL: s.URL(), TLS: &TLS{CA: []string{other.CA}, ClientCertificate: s.TLS.Client, ClientKey: s.TLS.ClientKey}}
		}, "certificate signed by unknown authority"},
		"another name": {func(t *testing.T) *Store {
			s := redistest.StartTLS(t)
			return &Store{URL: s.URL(), TLS: &TLS{CA: []string{s.TLS.CA}, ClientCertificate: s.TLS.Client, ClientKey: s.TLS.ClientKey, ServerName: "other.example"}}
		}, "other.example"},
		"no socket": {func(t *testing.T) *Store {
			return &Store{URL: "unix://" + t.TempDir() + "/none"}
		}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := open(t, row.deploy(t))
			var err error
			// A cluster refuses only some keys.
			for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
				if err = n.Save(t.Context(), key, []byte("1"), soon()); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("expected the error %q, seen %v", row.want, err)
			}
			time.Sleep(3 * probeEvery)
			logged := n.logged(zap.ErrorLevel)
			if len(logged) != 1 {
				t.Fatalf("expected one line, seen %q", logged)
			}
			if text := logged[0] + err.Error(); strings.Contains(text, "-secret") {
				t.Errorf("expected no password in the log and the error, seen %s", text)
			}
		})
	}
}

// says answers every connection with a text.
func says(t *testing.T, text string) (address string) {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		io.WriteString(conn, text)
		time.Sleep(50 * time.Millisecond)
	})
}
