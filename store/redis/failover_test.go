package redis

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	n := open(t, &Store{URL: replica.URL()})
	if _, err := n.Load(t.Context(), "a"); !errors.Is(err, errReplica) {
		t.Fatalf("got %v", err)
	}
	replica.Do("REPLICAOF", "NO", "ONE")
	n.awaits(t, "a", "", patience)
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")

	host, port, _ := net.SplitHostPort(master.Addr)
	replica.Do("REPLICAOF", host, port)
	err := n.Save(t.Context(), "a", []byte("2"), soon())
	if err == nil || !strings.Contains(err.Error(), errReplica.Error()) {
		t.Errorf("Save at a former master: expected the error %q, seen %v", errReplica, err)
	}
	if _, err := n.Load(t.Context(), "a"); err == nil {
		t.Error("Load at a replica: expected an error, seen none")
	}
	replica.Do("REPLICAOF", "NO", "ONE")
	replica.Do("SET", "oidc_rp:a", "3")
	t.Logf("used %v after its return", n.awaits(t, "a", "3", patience))
}

func TestFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinels(t, "a-password", "another")
	n := open(t, behind(group))
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	group.Master.Do("WAIT", "1", "30000")
	group.Master.Kill()
	n.fails(t, "a", atOnce)
	group.Elect()
	group.Replica.Await("role:master", "INFO", "replication")
	t.Logf("used %v after it was promoted", n.awaits(t, "a", "1", patience))
	n.mustSave(t, "a", "2")
	n.loads(t, "a", "2")
	n.loggedOnce(t)
	group.Stay()

	// The old master returns and acts as the master until a Sentinel corrects it. It
	// does not matter if one Sentinel does not know of the failover.
	group.Master.Restart()
	late := open(t, behind(group))
	for range 200 {
		n.loads(t, "a", "2")
		late.loads(t, "a", "2")
		time.Sleep(10 * time.Millisecond)
	}
}

// A requested failover keeps the old master alive.
func TestSwitchover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinels(t, "a-password", "another")
	n := open(t, behind(group))
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	group.Master.Do("WAIT", "1", "30000")
	group.Sentinels[0].Do("SENTINEL", "FAILOVER", group.Name)
	group.Replica.Await("role:master", "INFO", "replication")
	group.Replica.Do("SET", "oidc_rp:a", "2")
	t.Logf("seen %v after it was promoted and changed", n.awaits(t, "a", "2", patience))
	for began := time.Now(); n.Save(t.Context(), "a", []byte("3"), soon()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("the new master takes no records")
		}
	}
	n.loads(t, "a", "3")
}

func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	const timeout = 10 * time.Second // for busy machines
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
	n.fails(t, dead, patience)
	for range 20 {
		began := time.Now()
		n.loads(t, alive, "1")
		if _, err := n.Load(t.Context(), dead); err == nil {
			t.Fatal("expected an error of a store without an answer, seen a record")
		}
		if took := time.Since(began); took > 2*timeout {
			t.Errorf("took %v", took)
		}
	}
	victim.Restart()
	n.awaits(t, alive, "1", patience)
}

// When a key moves to another node, no copy stays that its writer would see.
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
