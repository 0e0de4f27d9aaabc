// Package e2e runs a real Caddy with this plugin against identity providers from outside
// the project. It does not import the plugin.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// bin is the folder for this run's programs.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oidc-rp-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// A program is built on first use, once per run.
type program struct {
	name string
	dir  string // of the module, relative to this folder
	pkg  string
	tags string
	race bool   // with the race detector if E2E_RACE=1
	made string // environment variable with the path of a built program
	once sync.Once
	err  error
}

var (
	caddyProgram   = &program{name: "caddy", dir: "..", pkg: "./cmd/caddy", race: true, made: "E2E_CADDY"}
	zitadelProgram = &program{name: "zitadel", dir: ".", pkg: "./idps/zitadel"}
	// Caddy with the session stores that are separate modules.
	storesProgram = &program{name: "caddy-stores", dir: "cmd/caddy", pkg: ".", race: true}
)

// path returns the program's path, and builds it if necessary.
func (p *program) path(t testing.TB) string {
	t.Helper()
	if given := os.Getenv(p.made); p.made != "" && given != "" {
		return given
	}
	out := filepath.Join(bin, p.name)
	p.once.Do(func() {
		args := []string{"build", "-buildvcs=false", "-o", out}
		if p.race && os.Getenv("E2E_RACE") == "1" {
			args = append(args, "-race")
		}
		if p.tags != "" {
			args = append(args, "-tags", p.tags)
		}
		cmd := exec.Command("go", append(args, p.pkg)...)
		cmd.Dir = p.dir
		cmd.Env = append(os.Environ(), "GOWORK=off") // each module uses its own go.mod
		if text, err := cmd.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("%v\n%s", err, text)
		}
	})
	if p.err != nil {
		t.Fatalf("%s cannot be built: %v", p.name, p.err)
	}
	return out
}

// needFile fails with a hint on what to do. No test is skipped because a part of the test
// bed is missing.
func needFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: run e2e/run, it installs what the tests need (%v)", path, err)
	}
}
