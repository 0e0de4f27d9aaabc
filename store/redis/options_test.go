package redis

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, want string }{
		{`redis redis://127.0.0.1:6379/0`, `{"url":"redis://127.0.0.1:6379/0"}`},
		{`redis valkeys://cache.example/2 {
			username {env.USER}
			password {file./run/secret}
			database 2
			prefix app:
			timeout 1s
			tls {
				ca /a.pem /b.pem
				client_certificate /c.pem /c.key
				server_name cache.internal
			}
		}`, `{"url":"valkeys://cache.example/2","username":"{env.USER}","password":"{file./run/secret}","database":2,` +
			`"tls":{"ca":["/a.pem","/b.pem"],"client_certificate":"/c.pem","client_key":"/c.key","server_name":"cache.internal"},` +
			`"prefix":"app:","timeout":1000000000}`},
		{`redis {
			address a.example:7000 b.example:7000
			cluster
			tls
		}`, `{"addresses":["a.example:7000","b.example:7000"],"cluster":true,"tls":{}}`},
		{`redis {
			sentinel sessions a.example b.example {
				username watcher
				password {env.WATCHER}
			}
		}`, `{"sentinel":{"master":"sessions","addresses":["a.example","b.example"],"username":"watcher","password":"{env.WATCHER}"}}`},
	} {
		s := new(Store)
		if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(row.text)); err != nil {
			t.Errorf("%s: %v", row.text, err)
			continue
		}
		if got, _ := json.Marshal(s); string(got) != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.text, got, row.want)
		}
	}
}

func TestCaddyfileRefusals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, want string }{
		{"redis", "Testfile:1 there is no URL"},
		{"redis redis://:hidden@a redis://:hidden@b", "Testfile:1 redis takes one URL, not 2"},
		{`redis ""`, "Testfile:1 the URL is empty"},
		{`redis redis://a {
			address b
		}`, "Testfile:1 a URL, address and sentinel exclude each other"},
		{`redis redis://a {
			adress b
		}`, "Testfile:2 unrecognized option 'adress' of redis"},
		{`redis redis://a {
			prefix b
			prefix c
		}`, "Testfile:3 prefix appears twice"},
		{`redis redis://a {
			prefix
		}`, "Testfile:2 prefix takes one argument, not 0"},
		{`redis redis://a {
			password hidden hidden
		}`, "Testfile:2 password takes one argument, not 2"},
		{`redis redis://a {
			password ""
		}`, "Testfile:2 password is empty"},
		{`redis redis://a {
			username b
		}`, "Testfile:1 username: the password is missing"},
		{`redis redis://a {
			cluster yes
		}`, "Testfile:2 wrong argument count"},
		{`redis redis://a {
			database -1
		}`, "Testfile:2 database: '-1' is not a number"},
		{`redis redis://a {
			database one
		}`, "Testfile:2 database: 'one' is not a number"},
		{`redis redis://a {
			timeout 0
		}`, "Testfile:2 timeout: '0' is not from 50ms to 10s"},
		{`redis redis://a {
			timeout 11s
		}`, "Testfile:2 timeout: '11s' is not from 50ms to 10s"},
		{`redis {
			address
		}`, "Testfile:2 address takes at least one argument"},
		{`redis {
			address a a
		}`, "Testfile:2 address: argument 2 is empty or a duplicate"},
		{`redis {
			sentinel sessions
		}`, "Testfile:2 sentinel takes the master's name and at least one address"},
		{`redis {
			sentinel sessions a {
				port 1
			}
		}`, "Testfile:3 unrecognized option 'port' of sentinel"},
		{`redis {
			sentinel sessions a {
				username b
			}
		}`, "sentinel: username: the password is missing"},
		{`redis {
			sentinel sessions a
			cluster
		}`, "Testfile:1 sentinel and cluster exclude each other"},
		{`redis rediss://a {
			tls on
		}`, "Testfile:2 wrong argument count"},
		{`redis rediss://a {
			tls {
				insecure_skip_verify
			}
		}`, "Testfile:3 unrecognized option 'insecure_skip_verify' of tls"},
		{`redis rediss://a {
			tls {
				client_certificate b
			}
		}`, "Testfile:3 client_certificate takes two files"},
		{`redis rediss://a {
			tls {
				ca
			}
		}`, "Testfile:3 ca takes at least one argument"},
	} {
		err := new(Store).UnmarshalCaddyfile(caddyfile.NewTestDispenser(row.text))
		if err == nil || !matches(err.Error(), row.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", row.text, err, row.want)
			continue
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the error repeats a password", row.text)
		}
	}
}

// matches reports whether an error has the text, and the line number before it.
func matches(err, want string) bool {
	place, text, found := strings.Cut(want, " ")
	if !found || !strings.HasPrefix(place, "Testfile:") {
		return strings.Contains(err, want)
	}
	return strings.Contains(err, text) && strings.Contains(err, place)
}

func TestResolve(t *testing.T) {
	t.Setenv("REDIS_TEST_PASSWORD", "p@ss/w?rd")
	for _, row := range []struct {
		store Store
		want  settings
	}{
		{Store{URL: "redis://a.example"}, settings{Addresses: []string{"a.example:6379"}}},
		{Store{URL: "valkey://[::1]/3"}, settings{Addresses: []string{"[::1]:6379"}, Database: 3}},
		{Store{URL: "redis://[::1]:7/?db=3", Database: 3}, settings{Addresses: []string{"[::1]:7"}, Database: 3}},
		{Store{URL: "rediss://user:p%40ss@a:1"}, settings{Addresses: []string{"a:1"}, Username: "user", Password: "p@ss", TLS: true}},
		{Store{URL: "valkeys://:p@a:1"}, settings{Addresses: []string{"a:1"}, Password: "p", TLS: true}},
		{Store{URL: "unix:///run/redis.sock?db=1"}, settings{Network: "unix", Addresses: []string{"/run/redis.sock"}, Database: 1}},
		{Store{URL: "redis+unix://:p@/run/redis.sock"}, settings{Network: "unix", Addresses: []string{"/run/redis.sock"}, Password: "p"}},
		{Store{URL: "redis://a", Username: "u", Password: "{env.REDIS_TEST_PASSWORD}", Prefix: "x:", Timeout: caddy.Duration(time.Second)},
			settings{Addresses: []string{"a:6379"}, Username: "u", Password: "p@ss/w?rd", Prefix: "x:", Timeout: time.Second}},
		{Store{Addresses: []string{"a", "b:7", "::1"}}, settings{Addresses: []string{"a:6379", "b:7", "[::1]:6379"}, Cluster: true}},
		{Store{Addresses: []string{"a"}, TLS: &TLS{ServerName: "b"}}, settings{Addresses: []string{"a:6379"}, TLS: true, ServerName: "b"}},
		{Store{Sentinel: &Sentinel{Master: "m", Addresses: []string{"a"}, Username: "w", Password: "s"}, Password: "p"},
			settings{Addresses: []string{"a:26379"}, Master: "m", SentinelUsername: "w", SentinelPassword: "s", Password: "p"}},
	} {
		got, err := row.store.resolve()
		if err != nil {
			t.Errorf("%+v: %v", row.store, err)
			continue
		}
		if row.want.Network == "" {
			row.want.Network = "tcp"
		}
		if row.want.Prefix == "" {
			row.want.Prefix = "oidc_rp:"
		}
		if row.want.Timeout == 0 {
			row.want.Timeout = 500 * time.Millisecond
		}
		if (got.tls != nil) != row.want.TLS {
			t.Errorf("%+v: TLS is %v", row.store, got.tls != nil)
		}
		gotKey, _ := got.fingerprint()
		wantKey, _ := row.want.fingerprint()
		if gotKey != wantKey {
			t.Errorf("got  %+v\nwant %+v", got, row.want)
		}
	}
}

func TestResolveRefusals(t *testing.T) {
	t.Parallel()
	certificates := redistest.NewCertificates(t)
	for _, row := range []struct {
		store Store
		want  string
	}{
		{Store{}, "there is no URL"},
		{Store{URL: "redis://:hid den@a"}, "not percent-encoded"},
		{Store{URL: "redis://:hidden/@a"}, "url: "},
		{Store{URL: "redis://user@a"}, "a user and no password"},
		{Store{URL: "redis://:hidden@a", Password: "hidden"}, "in it and in an option"},
		{Store{URL: "http://:hidden@a"}, "begins with redis://"},
		{Store{URL: "redis://"}, "no host"},
		{Store{URL: "redis:a"}, "parts that it cannot have"},
		{Store{URL: "redis://a#b"}, "parts that it cannot have"},
		{Store{URL: "redis://a/b"}, "the database is not a number"},
		{Store{URL: "redis://a/1/2"}, "the database is not a number"},
		{Store{URL: "redis://a/1?db=1"}, "names one database"},
		{Store{URL: "redis://a?skip_verify=true"}, "names one database"},
		{Store{URL: "redis://a/1", Database: 2}, "different databases"},
		{Store{URL: "unix://run/redis.sock"}, "begins with /"},
		{Store{URL: "unix:///run/redis.sock", TLS: new(TLS)}, "a unix socket has none"},
		{Store{URL: "unix:///run/redis.sock", Cluster: true}, "not reached by a unix socket"},
		{Store{URL: "redis://a", TLS: new(TLS)}, "begins with rediss://"},
		{Store{URL: "redis://a/1", Cluster: true}, "a cluster has none"},
		{Store{URL: "redis://a", Database: -1}, "negative"},
		{Store{URL: "redis://a", Timeout: 1}, "not from 50ms to 10s"},
		{Store{URL: "redis://a", Password: "{env.REDIS_TEST_NONE}"}, "password: "},
		{Store{URL: "redis://a", Password: "{file./does/not/exist}"}, "password: "},
		{Store{Sentinel: &Sentinel{Master: "m"}}, "at least one address"},
		{Store{URL: "rediss://a", TLS: &TLS{CA: []string{"/does/not/exist"}}}, "tls ca: "},
		{Store{URL: "rediss://a", TLS: &TLS{CA: []string{certificates.ServerKey}}}, "holds no certificate"},
		{Store{URL: "rediss://a", TLS: &TLS{CA: []string{os.DevNull}}}, "is empty"},
		{Store{URL: "rediss://a", TLS: &TLS{ClientCertificate: certificates.Client}}, "belong together"},
		{Store{URL: "rediss://a", TLS: &TLS{ClientCertificate: certificates.Client, ClientKey: certificates.ServerKey}}, "tls client_certificate: "},
	} {
		_, err := row.store.resolve()
		if err == nil {
			t.Errorf("%+v: expected the error %q, seen none", row.store, row.want)
			continue
		}
		if !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: expected the error %q, seen %v", row.store, row.want, err)
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%+v: expected an error without the password, seen %v", row.store, err)
		}
	}
}

func TestLogsHoldNoPassword(t *testing.T) {
	t.Parallel()
	s := &Store{URL: "redis://:hidden@a", Password: "hidden", Sentinel: &Sentinel{Password: "hidden"}, Prefix: "shown:"}
	encoder := zapcore.NewMapObjectEncoder()
	if err := s.MarshalLogObject(encoder); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(encoder.Fields)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hidden") {
		t.Errorf("expected a log without passwords, seen %s", text)
	}
	if !strings.Contains(string(text), "shown") {
		t.Errorf("expected a log with the prefix, seen %s", text)
	}
}

func TestEvicts(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]bool{
		"": false,
		"# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n":    false,
		"# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n":   false,
		"# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:volatile-lru\r\n": true,
	} {
		if _, may := evicts(info); may != want {
			t.Errorf("%q: %v", info, may)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	f.Add("*4\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")
	f.Add("-ERR unknown command\r\n")
	f.Add("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n")
	f.Add("$65536\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if fields, err := readReply(bufio.NewReader(strings.NewReader(text)), 0); err == nil && len(fields) > len(text)+1 {
			t.Errorf("%d fields from %d bytes", len(fields), len(text))
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	l := newLink(settings{Prefix: "app:"})
	for _, row := range []struct {
		err  error
		want string
	}{
		{refused("ERR what is app:session/0123 good for"), "ERR"},
		{refused("NOPERM no permissions for app:session/0123"), "the user lacks a rule: NOPERM"},
		{refused("OOM command not allowed"), "the server's memory is full: OOM command not allowed"},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), "no answer in time"},
		{fmt.Errorf("dial: %w", os.ErrDeadlineExceeded), "no answer in time"},
		{fmt.Errorf("dial: %w", io.EOF), "dial: EOF"},
	} {
		if got := l.explain(row.err).Error(); got != row.want {
			t.Errorf("expected %q, seen %q", row.want, got)
		}
	}
}
