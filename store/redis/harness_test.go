package redis

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

// node is a link that only this test uses, and its log.
type node struct {
	*link
	logs *observer.ObservedLogs
}

// open opens a new node. Its timeout is long, for busy machines. Tests about time set
// their own.
func open(t testing.TB, s *Store) node {
	t.Helper()
	config := *s
	if config.Timeout == 0 {
		config.Timeout = caddy.Duration(10 * time.Second)
	}
	c, err := config.resolve()
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	n := node{newLink(c), logs}
	n.logger.Store(zap.New(core))
	t.Cleanup(n.end)
	return n
}

func (n node) logged(level zapcore.Level) (messages []string) {
	for _, entry := range n.logs.All() {
		if entry.Level == level {
			messages = append(messages, fmt.Sprint(entry.Message, entry.ContextMap()))
		}
	}
	return messages
}

var soon = func() time.Time { return time.Now().Add(time.Minute) }

func (n node) mustSave(t testing.TB, key, record string) {
	t.Helper()
	if err := n.Save(t.Context(), key, []byte(record), soon()); err != nil {
		t.Fatal(err)
	}
}

// mustSoonSave is mustSave for short timeouts, where a busy machine may need several
// attempts.
func (n node) mustSoonSave(t testing.TB, key, record string) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		if err = n.Save(t.Context(), key, []byte(record), soon()); err == nil {
			n.logs.TakeAll()
			return
		}
	}
	t.Fatal(err)
}

// loads fails the test unless Load returns the record; want is "" for none.
func (n node) loads(t testing.TB, key, want string) {
	t.Helper()
	records, err := n.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if string(records[0]) != want || (records[0] == nil) != (want == "") {
		t.Fatalf("Load found %q, want %q", records[0], want)
	}
}

// awaits polls Load until it returns the record, and returns the time that this took.
func (n node) awaits(t testing.TB, key, want string, most time.Duration) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		records, err := n.Load(t.Context(), key)
		if err == nil && string(records[0]) == want {
			return time.Since(began)
		}
		if time.Since(began) > most {
			t.Fatalf("after %v Load finds %q, %v; want %q", most, records, err, want)
		}
	}
}

// fails fails the test unless Load returns an error within most.
func (n node) fails(t testing.TB, key string, most time.Duration) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := n.Load(t.Context(), key); err != nil {
			return time.Since(began)
		}
		if time.Since(began) > most {
			t.Fatalf("after %v Load still answers", most)
		}
	}
}

// loggedOnce fails the test unless the log has one line about the start of the outage
// and one about its end.
func (n node) loggedOnce(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(n.logged(zap.InfoLevel)) == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if down := n.logged(zap.ErrorLevel); len(down) != 1 {
		t.Errorf("expected one line about the outage, seen %q", down)
	}
	if up := n.logged(zap.InfoLevel); len(up) != 1 {
		t.Errorf("expected one line about its end, seen %q", up)
	}
}

const (
	// patience is how long tests wait for what takes one or two seconds on an idle
	// machine.
	patience = time.Minute
	// atOnce is the limit for what waits for no timeout. The timeouts of most tests are
	// ten seconds, and the machine may be busy.
	atOnce = 8 * time.Second
)

// deployments are all ways to run a server.
var deployments = map[string]func(testing.TB) *Store{
	"single": func(t testing.TB) *Store { return &Store{URL: redistest.Start(t).URL()} },
	"unix": func(t testing.TB) *Store {
		return &Store{URL: redistest.StartUnix(t).URL() + "?db=3"}
	},
	"password": func(t testing.TB) *Store {
		return &Store{URL: redistest.StartWithPassword(t, "p@ss w/rd").URL()}
	},
	"tls": func(t testing.TB) *Store {
		s := redistest.StartTLS(t)
		return &Store{URL: s.URL(), TLS: &TLS{CA: []string{s.TLS.CA}, ClientCertificate: s.TLS.Client, ClientKey: s.TLS.ClientKey}}
	},
	"sentinel": func(t testing.TB) *Store {
		return behind(redistest.StartSentinels(t, "a-password", "another"))
	},
	"cluster": func(t testing.TB) *Store {
		return &Store{Addresses: redistest.StartCluster(t).Addrs()[:1], Cluster: true}
	},
}

// behind returns a store behind Sentinels.
func behind(group *redistest.Sentinels) *Store {
	return &Store{
		Sentinel: &Sentinel{Master: group.Name, Addresses: group.Addrs(), Password: group.Sentinels[0].Password},
		Password: group.Master.Password,
	}
}

func written(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// listen has serve answer every connection, and returns the listener's address.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func atoi(t testing.TB, milliseconds string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(milliseconds + "ms")
	if err != nil {
		t.Fatal(err)
	}
	return d
}
