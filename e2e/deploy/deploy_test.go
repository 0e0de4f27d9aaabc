// Package deploy tests the files in deploy/. It checks that users can build a Caddy with
// the plugin as documented, that the files for containers, Compose, Kubernetes, and
// systemd are well-formed and consistent, and that Caddy behaves as those files require.
// It needs neither a container engine nor a cluster.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const repository = "../.."

// bin is the folder for this run's Caddy.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oidc-rp-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// buildCaddy builds Caddy once, as the Dockerfile does, but without -trimpath, so that it
// shares the build cache with other builds on this machine. DEPLOY_CADDY names one that
// deploy/build has already built.
var buildCaddy = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("DEPLOY_CADDY"); given != "" {
		return given, nil
	}
	path := filepath.Join(bin, "caddy")
	cmd := exec.Command(filepath.Join(repository, "deploy", "build"), path)
	cmd.Env = append(os.Environ(), "XCADDY_GO_BUILD_FLAGS=-tags nobadger,nomysql,nopgx")
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, text)
	}
	return path, nil
})

func caddy(t *testing.T) string {
	t.Helper()
	path, err := buildCaddy()
	if err != nil {
		t.Fatalf("xcaddy cannot build Caddy with the plugin: %v", err)
	}
	return path
}

// file returns the text of a file of the repository.
func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// match returns what the pattern's group matches in a file.
func match(t *testing.T, name, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(file(t, name))
	if found == nil {
		t.Fatalf("%s has nothing like %s", name, pattern)
	}
	return found[1]
}

// variables returns the environment variables that a Caddyfile reads.
func variables(caddyfile string) map[string]bool {
	all := make(map[string]bool)
	for _, found := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(caddyfile, -1) {
		all[found[1]] = true
	}
	return all
}

// TestTheBuiltCaddyHasThePlugin checks that the built Caddy lists the modules and accepts
// example.Caddyfile.
func TestTheBuiltCaddyHasThePlugin(t *testing.T) {
	t.Parallel()
	list, err := exec.Command(caddy(t), "list-modules", "--versions").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, list)
	}
	for _, module := range []string{
		"oidc_rp", "http.handlers.oidc_rp", "http.matchers.oidc_rp", "http.matchers.oidc_rp_claim", "admin.api.oidc_rp",
		"oidc_rp.session_stores.memory", "oidc_rp.session_stores.storage", "oidc_rp.session_stores.redis",
		"oidc_rp.directories.list", "oidc_rp.directories.file", "oidc_rp.directories.scim",
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(module) + `\b`).Match(list) {
			t.Errorf("expected the module %s, seen\n%s", module, list)
		}
	}
	cmd := exec.Command(caddy(t), "validate", "--config", filepath.Join(repository, "example.Caddyfile"))
	cmd.Env = append(os.Environ(), "CORP_CLIENT_ID=a", "CORP_CLIENT_SECRET=b", "PARTNERS_CLIENT_ID=c", "XDG_DATA_HOME="+t.TempDir())
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("expected a valid example.Caddyfile, seen %v\n%s", err, text)
	}
	version, err := exec.Command(caddy(t), "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := match(t, "go.mod", `^\tgithub\.com/caddyserver/caddy/v2 (\S+)$`); !strings.HasPrefix(string(version), want+" ") {
		t.Errorf("expected Caddy %s, as in go.mod, seen %s", want, version)
	}
}

// TestVersionsAgree compares the versions in the files with VERSION, the version that
// this tree becomes, and with the requirements in go.mod.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	version := strings.TrimSpace(file(t, "VERSION"))
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(version) {
		t.Fatalf("VERSION: expected a version like v1.2.3, seen %q", version)
	}
	language, patch := match(t, "go.mod", `^go (\d+\.\d+)\.\d+$`), match(t, "go.mod", `^\tgithub\.com/caddyserver/caddy/v2 v(\S+)$`)
	for _, says := range []struct{ name, pattern, want string }{
		{"CHANGELOG.md", `^## (v\S+) `, version},
		{"deploy/Dockerfile", `org\.opencontainers\.image\.version="([^"]+)"`, version},
		{"deploy/Dockerfile", `^FROM golang:([\d.]+)-`, language},
		{"README.md", `You need \[Go\]\(\S+\) ([\d.]+) or newer`, language},
		{"README.md", `Caddy ([\d.]+) or newer is required`, patch},
		{"docs/contributing.md", `^You need Go ([\d.]+)\.`, language},
	} {
		if seen := match(t, says.name, says.pattern); seen != says.want {
			t.Errorf("%s: expected %s, seen %s", says.name, says.want, seen)
		}
	}
	for _, name := range []string{"deploy/compose.yaml", "deploy/kubernetes.yaml"} {
		images := regexp.MustCompile(`(?m)\bimage: \S*caddy-oidc-rp:(\S+)$`).FindAllStringSubmatch(file(t, name), -1)
		if len(images) == 0 {
			t.Errorf("%s: expected an image of this repository, seen none", name)
		}
		for _, image := range images {
			if image[1] != version {
				t.Errorf("%s: expected an image of %s, seen %s", name, version, image[1])
			}
		}
	}
	if compose, kubernetes := match(t, "deploy/compose.yaml", `image: (redis:\S+)`), match(t, "deploy/kubernetes.yaml", `image: (redis:\S+)`); compose != kubernetes {
		t.Errorf("expected one version of Redis, seen %s and %s", compose, kubernetes)
	}
}

// TestTheImageIsNotRoot checks that Caddy runs as its own user, which owns the folders it
// writes to.
func TestTheImageIsNotRoot(t *testing.T) {
	t.Parallel()
	dockerfile := file(t, "deploy/Dockerfile")
	_, final, _ := strings.Cut(dockerfile, "\nFROM alpine:")
	for _, line := range []string{
		"adduser -D -u 1000 -h /data caddy", "chown -R caddy:caddy /data /config",
		"\nENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data\n", "\nVOLUME /data /config\n", "\nUSER 1000:1000\n", "\nHEALTHCHECK ",
		"\n" + `CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]` + "\n",
	} {
		if !strings.Contains(final, line) {
			t.Errorf("expected %q in the image, seen\n%s", line, final)
		}
	}
	if !strings.Contains(dockerfile, "XCADDY_SETCAP=0 deploy/build /caddy") {
		t.Error("expected a Caddy without a capability of the file, which would keep it from starting where all are dropped")
	}
}
