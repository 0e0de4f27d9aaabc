package integration_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

// theRedis is the server that all tests of this package share.
var theRedis struct {
	sync.Mutex
	server *redistest.Server
	clean  []func()
}

// redisOption returns the option of a Redis store with a prefix for this test. Without a
// redis-server the test is skipped, unless servers are required.
func redisOption(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil && os.Getenv("OIDC_RP_SERVERS") != "required" {
		t.Skip(err)
	}
	theRedis.Lock()
	defer theRedis.Unlock()
	if theRedis.server == nil {
		theRedis.server = redistest.Start(wholePackage{t})
	}
	return fmt.Sprintf(`
store redis %s {
	prefix %s
	timeout 9{node}00ms
}
`, theRedis.server.URL(), rand.Text())
}

// wholePackage makes what a test starts last until all tests of the package have ended.
type wholePackage struct{ testing.TB }

func (wholePackage) Cleanup(clean func()) { theRedis.clean = append(theRedis.clean, clean) }

func (w wholePackage) TempDir() string {
	folder, err := os.MkdirTemp("", "oidc_rp_redis")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// endRedis stops the server, if there is one.
func endRedis() {
	theRedis.Lock()
	defer theRedis.Unlock()
	for len(theRedis.clean) > 0 {
		last := len(theRedis.clean) - 1
		theRedis.clean[last]()
		theRedis.clean = theRedis.clean[:last]
	}
}
