package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

// node is a link that only this test has, and what it logged.
type node struct {
	*link
	logs *observer.ObservedLogs
}

// open makes a node of its own. Its timeout is long, for machines that are
// busy: tests about time set their own.
func open(t testing.TB, s *Store) node {
	t.Helper()
	config := *s
	if config.Timeout == 0 {
		config.Timeout = caddy.Duration(4 * time.Second)
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

// mustSoonSave is mustSave for short timeouts, where a busy machine may need
// more than one attempt.
func (n node) mustSoonSave(t testing.TB, key, record string) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if err = n.Save(t.Context(), key, []byte(record), soon()); err == nil {
			n.logs.TakeAll()
			return
		}
	}
	t.Fatal(err)
}

// loads fails unless Load finds a record; none is "".
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

// awaits polls Load until it finds a record, and returns how long that took.
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

// fails fails unless Load becomes an error within a time.
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

// behind is a store behind Sentinels.
func behind(group *redistest.Sentinels) *Store {
	return &Store{
		Sentinel: &Sentinel{Master: group.Name, Addresses: group.Addrs(), Password: group.Sentinels[0].Password},
		Password: group.Master.Password,
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := deploy(t)
			storetest.Run(t, func(t *testing.T) storetest.Pair {
				return storetest.Pair{A: open(t, config).link, B: open(t, config).link}
			})
		})
	}
}

// Every rule of the package's comment is needed, and no other.
func TestRules(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("redis.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "ACL SETUSER oidc_rp on >password ")
	text, _, _ = strings.Cut(text, "\n//\n")
	rules := strings.Fields(strings.ReplaceAll(text, "//", ""))
	serve := func(t *testing.T, rules ...string) (*redistest.Server, node) {
		server := redistest.Start(t)
		server.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">secret"}, rules...)...)
		return server, open(t, &Store{URL: server.URL(), Username: "sessions", Password: "secret", Database: 1})
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		server, n := serve(t, append(rules[:len(rules):len(rules)], "+info")...)
		if err := n.useAll(t); err != nil {
			t.Error(err)
		}
		if log := server.Do("ACL", "LOG"); log != "" {
			t.Errorf("something was refused: %s", log)
		}
	})
	for i, rule := range rules {
		if !strings.HasPrefix(rule, "+") {
			continue
		}
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			server, n := serve(t, append(rules[:i:i], rules[i+1:]...)...)
			err := n.useAll(t)
			if rule == "+echo" { // what it is for is not needed, but nothing is to be refused
				if log := server.Do("ACL", "LOG"); !strings.Contains(log, "echo") {
					t.Errorf("nothing was refused without it: %s", log)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "permissions") && !strings.Contains(err.Error(), "lacks a rule") {
				t.Errorf("without this rule: %v", err)
			}
			time.Sleep(3 * probeEvery)
			if told := n.logged(zap.ErrorLevel); len(told) != 1 || len(n.logged(zap.InfoLevel)) > 0 {
				t.Errorf("logged: %q %q", told, n.logged(zap.InfoLevel))
			}
		})
	}
	t.Run("sentinels", func(t *testing.T) {
		t.Parallel()
		_, text, _ := strings.Cut(string(source), "ACL SETUSER watcher on >password ")
		text, _, _ = strings.Cut(text, "\n//\n")
		group := redistest.StartSentinels(t, "a-password", "another")
		for _, s := range group.Sentinels {
			s.Do(append([]string{"ACL", "SETUSER", "watcher", "on", ">secret"}, strings.Fields(strings.ReplaceAll(text, "//", ""))...)...)
		}
		group.Master.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">secret", "+info"}, append(rules, "+info", "+role")...)...)
		config := behind(group)
		config.Username, config.Password = "sessions", "secret"
		config.Sentinel.Username, config.Sentinel.Password = "watcher", "secret"
		n := open(t, config)
		if err := n.useAll(t); err != nil {
			t.Error(err)
		}
		for _, s := range append(group.Sentinels, group.Master) {
			if log := s.Do("ACL", "LOG"); log != "" {
				t.Errorf("something was refused: %s", log)
			}
		}
	})
	t.Run("another prefix", func(t *testing.T) {
		t.Parallel()
		_, n := serve(t, append(rules[:len(rules):len(rules)], "resetkeys", "~other:*")...)
		err := n.Save(t.Context(), "a", []byte("1"), soon())
		if err == nil || !strings.Contains(err.Error(), "the user lacks a rule: NOPERM") {
			t.Errorf("got %v", err)
		}
	})
}

// useAll calls every method, until one fails.
func (n node) useAll(t *testing.T) error {
	ctx := t.Context()
	if err := n.Save(ctx, "a", []byte("1"), soon()); err != nil {
		return err
	}
	if _, err := n.Load(ctx, "a", "b"); err != nil {
		return err
	}
	if _, err := n.Reload(ctx, "a", "b"); err != nil {
		return err
	}
	if done, err := n.Replace(ctx, "a", []byte("1"), []byte("2"), soon()); err != nil || !done {
		return fmt.Errorf("Replace: %v, %w", done, err)
	}
	if err := n.Delete(ctx, "a"); err != nil {
		return err
	}
	unlock, err := n.Lock(ctx, "a")
	if err != nil {
		return err
	}
	unlock()
	return nil
}

func TestPool(t *testing.T) {
	t.Parallel()
	server := redistest.StartWithPassword(t, "a-secret")
	config := fmt.Appendf(nil, `{"url": %q, "password": "{file.%s}", "prefix": "pool:"}`,
		"redis://"+server.Addr, written(t, "a-secret"))
	var all []*Store
	for range 2 {
		s := new(Store)
		if err := json.Unmarshal(config, s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		defer cancel()
		if err := s.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%+v", s.Password), "a-secret") {
			t.Error("the password was written into the option")
		}
		all = append(all, s)
	}
	if all[0].link != all[1].link {
		t.Error("the same options have links of their own")
	}
	if n := server.Connections(); n != 0 {
		t.Errorf("%d connections before the first use", n)
	}
	all[0].link.linger = 100 * time.Millisecond
	if err := all[0].Save(t.Context(), "a", []byte("1"), soon()); err != nil {
		t.Fatal(err)
	}
	links.Range(func(key, _ any) bool {
		if strings.Contains(key.(string), "secret") {
			t.Error("the pool's key holds the password")
		}
		return true
	})
	for i, s := range all {
		if err := s.Cleanup(); err != nil {
			t.Fatal(err)
		}
		if err := s.Cleanup(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(t.Context(), "a"); err != nil {
			t.Errorf("after %d of 2 configurations ended: %v", i+1, err)
		}
	}
	for began := time.Now(); server.Connections() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 3*time.Second {
			t.Fatalf("%d connections are left", server.Connections())
		}
	}
	if _, err := all[0].Load(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), errClosed.Error()) {
		t.Errorf("after the end: %v", err)
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

func TestLockEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := &Store{URL: server.URL()}
	dead, other := open(t, config), open(t, config)
	if _, err := dead.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(renewLock + time.Second) // it has been renewed once
	left := atoi(t, server.Do("PTTL", "oidc_rp:lock:a"))
	if left < lockFor-renewLock-2*time.Second || left > lockFor {
		t.Errorf("%v are left of the lock", left)
	}
	dead.end() // nothing renews it any more
	began := time.Now()
	unlock, err := other.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if took := time.Since(began); took > lockFor+5*time.Second || took < lockFor-renewLock-3*time.Second {
		t.Errorf("the lock ended %v after its holder", took)
	}
}

// A lock that was lost is not given back: another may have it.
func TestLostLock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	lost, err := n.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	server.Do("DEL", "oidc_rp:lock:a")
	unlock, err := n.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	lost()
	if left := server.Do("EXISTS", "oidc_rp:lock:a"); left != "1" {
		t.Error("the lock was taken from who has it")
	}
	unlock()
	if left := server.Do("EXISTS", "oidc_rp:lock:a"); left != "0" {
		t.Error("the lock was not given back")
	}
}

func atoi(t testing.TB, milliseconds string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(milliseconds + "ms")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A copy must not outlive a change, however the two race.
func TestOwnChangesUnderLoad(t *testing.T) {
	t.Parallel()
	n := open(t, &Store{URL: redistest.Start(t).URL()})
	end := time.Now().Add(time.Second)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for time.Now().Before(end) {
				if _, err := n.Load(context.Background(), "a", "b", "c"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := 0; time.Now().Before(end); i++ {
		record := fmt.Sprint(i)
		n.mustSave(t, "a", record)
		n.loads(t, "a", record)
		if done, err := n.Replace(t.Context(), "a", []byte(record), []byte(record+"r"), soon()); err != nil || !done {
			t.Fatal(done, err)
		}
		n.loads(t, "a", record+"r")
		if err := n.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		n.loads(t, "a", "")
	}
	all.Wait()
}
