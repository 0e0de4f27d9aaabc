package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Sentinels are three Sentinels that look after a master and its replica.
type Sentinels struct {
	Name            string // of the master
	Master, Replica *Server
	Sentinels       []*Server
}

// StartSentinels starts a master, a replica and three Sentinels, which elect a
// master when Elect asks them to. The servers have one password, the
// Sentinels another.
func StartSentinels(t testing.TB, password, sentinelPassword string) *Sentinels {
	t.Helper()
	group := &Sentinels{Name: "sessions", Master: StartWithPassword(t, password, "--masterauth", password)}
	group.Replica = startReplica(t, group.Master, "--requirepass", password, "--masterauth", password)
	host, port, _ := net.SplitHostPort(group.Master.Addr)
	for range 3 {
		s := prepare(t, "redis-sentinel")
		s.Password = sentinelPassword
		config := fmt.Sprintf("requirepass %[4]s\nsentinel sentinel-pass %[4]s\nsentinel monitor %[1]s %[2]s %[3]s 2\nsentinel auth-pass %[1]s %[5]s\n"+
			"sentinel down-after-milliseconds %[1]s %[6]d\nsentinel failover-timeout %[1]s 5000\n",
			group.Name, host, port, sentinelPassword, password, patient.Milliseconds())
		if err := os.WriteFile(filepath.Join(s.dir, "sentinel.conf"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = []string{"--bind", "127.0.0.1", "--dir", s.dir}
		s.listen()
		group.Sentinels = append(group.Sentinels, s)
	}
	for _, s := range group.Sentinels {
		s.Await("num-slaves\n1", "SENTINEL", "MASTER", group.Name)
		s.Await("num-other-sentinels\n2", "SENTINEL", "MASTER", group.Name)
	}
	return group
}

// A master that is silent for so long is dead for Sentinels. A busy machine stands
// still for half a second at times: Sentinels that are always brisk would then
// elect a server that has not yet got the records.
const (
	brisk   = 500 * time.Millisecond
	patient = 10 * time.Minute
)

// Elect lets the Sentinels elect another master soon after the master has died.
func (g *Sentinels) Elect() { g.downAfter(brisk) }

// Stay lets the Sentinels elect no other master.
func (g *Sentinels) Stay() { g.downAfter(patient) }

func (g *Sentinels) downAfter(d time.Duration) {
	for _, s := range g.Sentinels {
		s.Do("SENTINEL", "SET", g.Name, "down-after-milliseconds", fmt.Sprint(d.Milliseconds()))
	}
}

// Addrs are the addresses of the Sentinels.
func (g *Sentinels) Addrs() (addresses []string) {
	for _, s := range g.Sentinels {
		addresses = append(addresses, s.Addr)
	}
	return addresses
}

// Cluster is one of three masters without replicas.
type Cluster []*Server

// StartCluster starts three masters, each with a third of the slots.
func StartCluster(t testing.TB, options ...string) Cluster {
	t.Helper()
	var c Cluster
	for range 3 {
		c = append(c, Start(t, append(options, "--cluster-enabled", "yes", "--cluster-port", FreePort(t),
			"--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")...))
	}
	const slots = 16384
	for i, s := range c {
		s.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/3), fmt.Sprint((i+1)*slots/3-1))
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	}
	for _, s := range c[1:] {
		host, port, _ := net.SplitHostPort(s.Addr)
		c[0].Do("CLUSTER", "MEET", host, port, s.busPort())
	}
	for _, s := range c {
		s.Await("cluster_known_nodes:3", "CLUSTER", "INFO")
		s.Await("cluster_slots_assigned:16384", "CLUSTER", "INFO")
		s.Await("cluster_state:ok", "CLUSTER", "INFO")
	}
	return c
}

func (s *Server) busPort() string {
	for i, arg := range s.args {
		if arg == "--cluster-port" {
			return s.args[i+1]
		}
	}
	return ""
}

// Addrs are the addresses of the nodes.
func (c Cluster) Addrs() (addresses []string) {
	for _, s := range c {
		addresses = append(addresses, s.Addr)
	}
	return addresses
}

// Of returns the node that holds a key.
func (c Cluster) Of(key string) *Server {
	slot := atoi(c[0].Do("CLUSTER", "KEYSLOT", key))
	for _, s := range c {
		for line := range strings.Lines(s.Do("CLUSTER", "NODES")) {
			fields := strings.Fields(line)
			if len(fields) > 8 && strings.Contains(fields[2], "myself") {
				from, to, _ := strings.Cut(fields[8], "-")
				if atoi(from) <= slot && slot <= atoi(to) {
					return s
				}
			}
		}
	}
	return nil
}
