package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A postgresServer is a private PostgreSQL server that a test can stop and start again
// with its data.
type postgresServer struct {
	t       testing.TB
	folder  string
	port    int
	args    []string
	process *process
}

// newPostgres reserves the port. options are options of the program postgres.
func newPostgres(t testing.TB, options ...string) *postgresServer {
	t.Helper()
	folder, err := os.MkdirTemp("", "postgres") // the server's user cannot enter the folder of t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	p := &postgresServer{t: t, folder: folder, port: freePort(t)}
	p.args = append([]string{folder, fmt.Sprint(p.port)}, options...)
	return p
}

func (p *postgresServer) start() {
	p.t.Helper()
	p.process = spawn(p.t, "postgres", nil, "idp/postgres", p.args...)
	p.t.Cleanup(p.stop)
	eventually(p.t, 30*time.Second, "PostgreSQL answers", func() bool {
		if !p.process.running() {
			p.t.Fatalf("PostgreSQL has ended:\n%s", p.process.log.tail(20))
		}
		return exec.Command("pg_isready", "-q", "-h", "127.0.0.1", "-p", fmt.Sprint(p.port)).Run() == nil
	})
}

// stop stops the server at once. The data stays.
func (p *postgresServer) stop() { p.process.stop(p.t, syscall.SIGINT) }

// url returns the database URL, with the password.
func (p *postgresServer) url() string {
	p.t.Helper()
	url, err := os.ReadFile(filepath.Join(p.folder, "url"))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(url))
}

func TestIdentityProviderKeepsItsContractOnPostgres(t *testing.T) {
	t.Parallel()
	postgres := newPostgres(t, "-c", "fsync=off")
	postgres.start()
	suite := exec.Command("go", "test", "-count=1", "-tags", "postgres", "-run", "Postgres", "./internal/database/...")
	suite.Dir = "../idp"
	suite.Env = append(os.Environ(), "OIDC_IDP_POSTGRES="+postgres.url())
	output, err := suite.CombinedOutput()
	if err != nil {
		t.Errorf("expected the tests to pass, seen %v:\n%s", err, output)
	}
	if !strings.Contains(string(output), "ok  \t") {
		t.Errorf("expected tests to run, seen:\n%s", output)
	}
}
