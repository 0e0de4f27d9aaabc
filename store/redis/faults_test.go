package redis

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

const (
	// back is how soon after a server's return it is used again.
	back = time.Second
	// atOnce is how soon that comes which waits for no timeout. Those of most
	// tests are four seconds, and a machine may be busy.
	atOnce = time.Second
)

// toldOnce fails unless there was one line when it went down, and one when it
// was back.
func (n node) toldOnce(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); len(n.logged(zap.InfoLevel)) == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if down, up := n.logged(zap.ErrorLevel), n.logged(zap.InfoLevel); len(down) != 1 || len(up) != 1 {
		t.Errorf("logged: %q, %q", down, up)
	}
}

func TestDownAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	n := open(t, &Store{URL: server.URL()})
	for range 20 {
		began := time.Now()
		_, err := n.Load(t.Context(), "a")
		if err == nil || !strings.HasPrefix(err.Error(), "session store redis: load: ") {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took > atOnce {
			t.Errorf("Load failed after %v", took)
		}
	}
	time.Sleep(500 * time.Millisecond)
	server.Restart()
	t.Logf("used %v after its start", n.awaits(t, "a", "", back))
	n.toldOnce(t)
}

func TestKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	server.Kill()
	t.Logf("noticed after %v", n.fails(t, "a", atOnce))
	for range 100 {
		if _, err := n.Load(t.Context(), "a"); err == nil {
			t.Fatal("a session lives because the store is silent")
		}
	}
	if err := n.Save(t.Context(), "a", []byte("2"), soon()); err == nil {
		t.Error("Save returned no error")
	}
	server.Restart()
	t.Logf("used %v after its return", n.awaits(t, "a", "", back))
	n.mustSave(t, "a", "3")
	n.loads(t, "a", "3")
	n.toldOnce(t)
}

// The first call after a restart that nobody noticed succeeds.
func TestRestarted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	for range 5 {
		n.mustSave(t, "a", "1")
		n.loads(t, "a", "1")
		server.Restart()
		n.loads(t, "a", "")
	}
	if told := n.logged(zap.ErrorLevel); len(told) > 0 {
		t.Errorf("logged: %q", told)
	}
}

// A server that hangs is noticed though all answers come from copies, as soon
// as the package's comment says.
func TestHangs(t *testing.T) {
	t.Parallel()
	const bound = 2*pingEvery + defaultTimeout
	if bound != 1300*time.Millisecond {
		t.Fatalf("the package's comment is wrong about %v", bound)
	}
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(defaultTimeout)})
	n.mustSoonSave(t, "a", "1")
	for round := range 3 {
		n.awaits(t, "a", "1", back)
		time.Sleep(time.Duration(round) * pingEvery / 3)
		server.Pause()
		t.Logf("noticed after %v", n.fails(t, "a", bound+defaultTimeout+700*time.Millisecond))
		// From here on nobody waits in vain.
		began := time.Now()
		for range 10 {
			if _, err := n.Load(t.Context(), "a"); err == nil {
				t.Fatal("a session lives because the store is silent")
			}
		}
		if took := time.Since(began); took > 2*defaultTimeout {
			t.Errorf("ten calls took %v", took)
		}
		time.Sleep(time.Second)
		server.Resume()
		t.Logf("used %v after its return", n.awaits(t, "a", "1", back))
	}
}

// No copy is given out later than the bound after the server was last heard.
func TestCopiesOfTheSilent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(defaultTimeout)})
	n.mustSoonSave(t, "a", "1")
	n.loads(t, "a", "1")
	server.Pause()
	defer server.Resume()
	paused, last := time.Now(), time.Duration(0)
	for time.Since(paused) < 3*time.Second {
		began := time.Now()
		if _, err := n.Load(t.Context(), "a"); err == nil {
			last = began.Sub(paused)
		}
	}
	t.Logf("the last copy was given out %v after the server fell silent", last)
	if most := 2*pingEvery + defaultTimeout; last > most+700*time.Millisecond { // the machine may be busy
		t.Errorf("that is more than %v", most)
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(defaultTimeout)})
	n.mustSoonSave(t, "a", "1")
	server.Do("CLIENT", "PAUSE", "2000", "ALL")
	resumed := time.Now().Add(2 * time.Second)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			began := time.Now()
			if _, err := n.Reload(context.Background(), "a"); !errors.Is(err, errSilent) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > defaultTimeout+700*time.Millisecond { // the machine may be busy
				t.Errorf("a call took %v", took)
			}
		})
	}
	all.Wait()
	began := time.Now()
	if _, err := n.Reload(t.Context(), "a"); err == nil || time.Since(began) > defaultTimeout/2 {
		t.Errorf("a later call: %v, after %v", err, time.Since(began))
	}
	time.Sleep(time.Until(resumed))
	t.Logf("used %v after its return", n.awaits(t, "a", "1", back))
	n.toldOnce(t)
}

func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	n.mustSave(t, "a", "1")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for range 5 {
		err := n.Save(t.Context(), "b", []byte("2"), soon())
		if err == nil || !strings.Contains(err.Error(), "session store redis: save: the server's memory is full: OOM") {
			t.Errorf("got %v", err)
		}
		n.loads(t, "a", "1")
	}
	if err := n.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	n.toldOnce(t)
	n.mustSave(t, "b", "2")
}

func TestEvictionIsTold(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]int{"noeviction": 0, "volatile-lru": 1, "allkeys-random": 1} {
		server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", policy)
		n := open(t, &Store{URL: server.URL()})
		n.mustSave(t, "a", "1")
		for began := time.Now(); len(n.logged(zap.WarnLevel)) < want && time.Since(began) < 5*time.Second; {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond) // for what must not be told
		if told := n.logged(zap.WarnLevel); len(told) != want {
			t.Errorf("%s: %q", policy, told)
		}
	}
}

func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	n := open(t, &Store{URL: replica.URL()})
	if _, err := n.Load(t.Context(), "a"); !errors.Is(err, errReplica) {
		t.Fatalf("got %v", err)
	}
	replica.Do("REPLICAOF", "NO", "ONE")
	n.awaits(t, "a", "", back)
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")

	host, port, _ := net.SplitHostPort(master.Addr)
	replica.Do("REPLICAOF", host, port)
	err := n.Save(t.Context(), "a", []byte("2"), soon())
	if err == nil || !strings.Contains(err.Error(), errReplica.Error()) {
		t.Errorf("Save at a master that was: %v", err)
	}
	if _, err := n.Load(t.Context(), "a"); err == nil {
		t.Error("a replica was asked for a record")
	}
	replica.Do("REPLICAOF", "NO", "ONE")
	replica.Do("SET", "oidc_rp:a", "3")
	t.Logf("used %v after its return", n.awaits(t, "a", "3", back))
}

func TestFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinels(t, "a-password", "another")
	n := open(t, behind(group))
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	group.Master.Do("WAIT", "1", "1000")
	group.Master.Kill()
	n.fails(t, "a", atOnce)
	group.Elect()
	group.Replica.Await("role:master", "INFO", "replication")
	t.Logf("used %v after it was promoted", n.awaits(t, "a", "1", 2*back+topologyEvery))
	n.mustSave(t, "a", "2")
	n.loads(t, "a", "2")
	n.toldOnce(t)
	group.Stay()

	// The old one comes back, and takes itself for the master until a Sentinel
	// tells it. Not even a Sentinel that has heard of nothing changes that.
	group.Master.Restart()
	late := open(t, behind(group))
	for range 200 {
		n.loads(t, "a", "2")
		late.loads(t, "a", "2")
		time.Sleep(10 * time.Millisecond)
	}
}

// A failover that is asked for leaves the old master alive.
func TestSwitchover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinels(t, "a-password", "another")
	n := open(t, behind(group))
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	group.Master.Do("WAIT", "1", "1000")
	group.Sentinels[0].Do("SENTINEL", "FAILOVER", group.Name)
	group.Replica.Await("role:master", "INFO", "replication")
	group.Replica.Do("SET", "oidc_rp:a", "2")
	t.Logf("seen %v after it was promoted and changed", n.awaits(t, "a", "2", 5*time.Second))
	for began := time.Now(); n.Save(t.Context(), "a", []byte("3"), soon()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 3*time.Second {
			t.Fatal("the new master takes no records")
		}
	}
	n.loads(t, "a", "3")
}

func TestFlushed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	server.Do("FLUSHALL")
	t.Logf("seen after %v", n.awaits(t, "a", "", time.Second))
	if told := n.logged(zap.ErrorLevel); len(told) > 0 {
		t.Errorf("logged: %q", told)
	}
}

func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	const timeout = 2 * time.Second // a busy machine is no fault of the cluster
	n := open(t, &Store{Addresses: cluster.Addrs(), Timeout: caddy.Duration(timeout)})
	alive, dead := "", ""
	victim := cluster.Of("oidc_rp:a")
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		n.mustSoonSave(t, key, "1")
		if cluster.Of("oidc_rp:"+key) == victim {
			dead = key
		} else {
			alive = key
		}
	}
	n.loads(t, dead, "1")
	victim.Kill()
	n.fails(t, dead, back)
	for range 20 {
		began := time.Now()
		n.loads(t, alive, "1")
		if _, err := n.Load(t.Context(), dead); err == nil {
			t.Fatal("a session lives because the store is silent")
		}
		if took := time.Since(began); took > 2*timeout {
			t.Errorf("took %v", took)
		}
	}
	victim.Restart()
	n.awaits(t, alive, "1", back)
}

// A key that moves to another node leaves no copy that its writer would see.
func TestClusterMoves(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	n := open(t, &Store{Addresses: cluster.Addrs()})
	n.loads(t, "a", "")
	from := cluster.Of("oidc_rp:a")
	to := cluster[0]
	if from == to {
		to = cluster[1]
	}
	slot, id := from.Do("CLUSTER", "KEYSLOT", "oidc_rp:a"), to.Do("CLUSTER", "MYID")
	for _, s := range []*redistest.Server{to, from} {
		s.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
	}
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	n.mustSave(t, "a", "2")
	n.loads(t, "a", "2")
}

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
			// A cluster tells for some keys only.
			for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
				if err = n.Save(t.Context(), key, []byte("1"), soon()); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(3 * probeEvery)
			told := n.logged(zap.ErrorLevel)
			if len(told) != 1 || strings.Contains(told[0]+err.Error(), "-secret") {
				t.Errorf("logged: %q", told)
			}
		})
	}
}

// says listens, and says one thing to all that come.
func says(t *testing.T, what string) (address string) {
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
				io.WriteString(conn, what)
				time.Sleep(50 * time.Millisecond)
			}()
		}
	}()
	return listener.Addr().String()
}

// Not parallel: it counts the goroutines of the whole process.
func TestNothingIsLeft(t *testing.T) {
	deployments := maps.Clone(deployments)
	var hanging *redistest.Server
	deployments["hanging"] = func(t testing.TB) *Store {
		hanging = redistest.Start(t)
		return &Store{URL: hanging.URL()}
	}
	for name, deploy := range deployments {
		t.Run(name, func(t *testing.T) {
			config := deploy(t)
			before := runtime.NumGoroutine()
			n := open(t, config)
			n.mustSave(t, "a", "1")
			n.loads(t, "a", "1")
			unlock, err := n.Lock(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			unlock()
			if name == "hanging" {
				hanging.Pause()
			}
			n.end()
			for began := time.Now(); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
				if time.Since(began) > 15*time.Second {
					stacks := make([]byte, 1<<20)
					t.Fatalf("%d goroutines were there, and %d are: %s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
				}
			}
		})
	}
}
