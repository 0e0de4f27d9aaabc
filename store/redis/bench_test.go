package redis

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

// keysOfRequest returns the keys that a request loads: its session, and three records
// that could have ended it.
func keysOfRequest(session int) []string {
	return []string{
		fmt.Sprintf("session/%032x", session), fmt.Sprintf("ended/%032x", session),
		fmt.Sprintf("ended/%032x", session+1<<20), fmt.Sprintf("ended/%032x", session+1<<30),
	}
}

var sealed = bytes.Repeat([]byte{0xa5}, 750)

func benchmarked(b *testing.B, config *Store) node {
	n := open(b, config)
	if err := n.Save(context.Background(), keysOfRequest(0)[0], sealed, time.Now().Add(time.Hour)); err != nil {
		b.Fatal(err)
	}
	return n
}

func BenchmarkHotLoad(b *testing.B) {
	for _, name := range []string{"single", "cluster"} {
		b.Run(name, func(b *testing.B) {
			n, keys := benchmarked(b, deployments[name](b)), keysOfRequest(0)
			if name == "cluster" {
				n.written.young = nil // as if its window had passed
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := n.Load(context.Background(), keys...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkColdLoad(b *testing.B) {
	n := benchmarked(b, deployments["single"](b))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := n.Load(context.Background(), keysOfRequest(i+1)...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReload(b *testing.B) {
	n, keys := benchmarked(b, deployments["single"](b)), keysOfRequest(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Reload(context.Background(), keys...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	n := benchmarked(b, deployments["single"](b))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := n.Save(context.Background(), keysOfRequest(i)[0], sealed, time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports the memory that a session takes in the server.
func BenchmarkMemory(b *testing.B) {
	server := redistest.Start(b)
	n := open(b, &Store{URL: server.URL()})
	key := keysOfRequest(0)[0]
	for b.Loop() {
		if err := n.Save(context.Background(), key, sealed, time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	bytes := 0
	fmt.Sscan(server.Do("MEMORY", "USAGE", "oidc_rp:"+key), &bytes)
	b.ReportMetric(float64(bytes), "bytes/session")
}
