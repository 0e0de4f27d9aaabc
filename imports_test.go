package oidcrp_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// These tests check which packages of this module may import what. Packages under
// internal have the logic and are testable without Caddy. Only the root, the rules of a
// configuration, telemetry, stores and directories connect it to Caddy.

const thisModule = "github.com/caddy-oidc-rp/caddy-oidc-rp"

// directRequirements are the modules that the root go.mod may require directly.
// Everyone who builds the plugin gets them, so think twice before you add to this list.
var directRequirements = []string{
	"cel.dev/cel-go",
	"github.com/caddyserver/caddy/v2",
	"github.com/caddyserver/certmagic",
	"github.com/coreos/go-oidc/v3",
	"github.com/go-jose/go-jose/v4",
	"github.com/hashicorp/golang-lru/v2",
	"github.com/klauspost/compress",
	"github.com/prometheus/client_golang",
	"github.com/spf13/cobra",
	"github.com/valkey-io/valkey-go",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/sdk", // only of tests
	"go.opentelemetry.io/otel/trace",
	"go.uber.org/zap",
	"golang.org/x/net",
	"golang.org/x/oauth2",
	"golang.org/x/sync",
	"golang.org/x/text",
	"google.golang.org/protobuf",
}

// wiring are the modules that packages under internal must not import: Caddy, its
// storage, logging, metrics and commands.
var wiring = []string{
	"github.com/caddyserver", "go.uber.org", "github.com/prometheus", "go.opentelemetry.io", "github.com/spf13",
}

// mayImportCaddy are the packages under internal that may import Caddy: the one that
// reads Caddyfiles, the one with Caddy's functions for expressions (so that package
// expression does not need Caddy), and the one that unloads what tests provision.
var mayImportCaddy = []string{"internal/caddyargs", "internal/caddycel", "internal/unload"}

// configPackages are the packages with parts of the configuration.
var configPackages = []string{"ruleconfig", "siteconfig"}

// commandPackages are the packages with subcommands, which only the root may import.
var commandPackages = []string{"command"}

// telemetry is the package with Caddy's kind of metrics, spans, events and log lines.
const telemetry = "telemetry"

// forTests are packages that only tests, benchmarks and the demo import.
var forTests = []string{"internal/oidctest", "internal/unload", "internal/clusterstore/clustertest", "store/storetest", "store/redis/redistest", "directory/directorytest"}

func TestImportLaw(t *testing.T) {
	t.Parallel()
	imports := importsOfThisModule(t)
	for _, from := range slices.Sorted(maps.Keys(imports)) {
		for _, to := range imports[from] {
			if broken := brokenImportRule(from, to); broken != "" {
				t.Errorf("%s imports %s: %s", from, to, broken)
			}
		}
	}
}

// under reports whether a package is the folder or is inside it.
func under(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// among reports whether a package is in one of the folders.
func among(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return under(name, folder) })
}

// guests are the packages of guest modules of one kind. The folder has their interface,
// and each folder inside it has one module.
type guests struct {
	folder string
	// known are the packages under internal that may import the interface, which is
	// public.
	known []string
}

var guestPackages = []guests{
	{"store", []string{"internal/sessionstore"}},
	{"directory", []string{"internal/knownusers"}},
}

func (g guests) brokenRule(from, to string) string {
	isGuest := under(from, g.folder)
	switch {
	case isGuest && to == ".":
		return "only commands import the root"
	case !under(to, g.folder) || among(from, forTests):
		return ""
	case under(from, "internal") && !among(from, g.known):
		return "packages under internal know nothing of guest modules"
	case isGuest && to != g.folder && !under(to, from):
		return "a guest module knows no other"
	}
	return ""
}

// brokenImportRule returns the rule that an import of a package of this module breaks,
// or an empty string. Packages of this module are named by their folder.
func brokenImportRule(from, to string) string {
	isInternal := under(from, "internal")
	for _, guests := range guestPackages {
		if broken := guests.brokenRule(from, to); broken != "" {
			return broken
		}
	}
	switch {
	case to == "." && isInternal:
		return "only commands import the root"
	case among(to, forTests) && !among(from, forTests):
		return "it is for tests alone"
	case isInternal && among(to, wiring) && !among(from, mayImportCaddy):
		return "packages under internal know nothing of Caddy, its logs and its metrics"
	case isInternal && among(to, configPackages):
		return "packages under internal know nothing of how a configuration is written"
	case isInternal && to == telemetry:
		return "packages under internal know nothing of how an operator sees them"
	case to == "." && (among(from, configPackages) || from == telemetry):
		return "only commands import the root"
	case among(from, commandPackages) && to == ".":
		return "only programs import the root"
	case among(to, commandPackages) && from != ".":
		return "subcommands are for the root alone"
	case to == telemetry && from != ".":
		return "the root alone wires telemetry"
	case isInternal && among(to, mayImportCaddy):
		return "packages under internal read no Caddyfiles"
	case under(from, "internal/caddyargs") && under(to, "internal") && to != "internal/suggest":
		return "caddyargs knows options' arguments and nothing else"
	}
	return ""
}

// importsOfThisModule returns the imports of the packages of the root module, without
// those of tests. Packages of the module are named by their folder, others by their
// path.
func importsOfThisModule(t *testing.T) map[string][]string {
	t.Helper()
	imports := make(map[string][]string)
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipFolder(file)
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from := path.Dir(filepath.ToSlash(file))
		for _, spec := range parsed.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to == thisModule {
				to = "."
			}
			imports[from] = append(imports[from], strings.TrimPrefix(to, thisModule+"/"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, expected := range []string{".", "store", "store/memory", "internal/caddyargs", "internal/seal"} {
		if len(imports[expected]) == 0 {
			t.Fatalf("no imports of %s were found", expected)
		}
	}
	return imports
}

// skipFolder leaves out other modules and folders that Go ignores.
func skipFolder(folder string) error {
	if folder == "." {
		return nil
	}
	name := filepath.Base(folder)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// This test checks the import rules themselves, so that a rule that never matches is
// noticed.
func TestImportLawRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from, to string
		allowed  bool
	}{
		{"internal/seal", ".", false},
		{"store/memory", ".", false},
		{"cmd/caddy", ".", true},
		{"internal/seal", "github.com/caddyserver/caddy/v2", false},
		{"internal/seal", "github.com/caddyserver/certmagic", false},
		{"internal/op", "go.uber.org/zap", false},
		{"internal/op", "github.com/prometheus/client_golang/prometheus", false},
		{"internal/caddyargs", "github.com/caddyserver/caddy/v2", true},
		{"internal/caddyargs", "internal/suggest", true},
		{"internal/caddyargs", "internal/session", false},
		{"internal/session", "internal/caddyargs", false},
		{"internal/session", "store", false},
		{"internal/sessionstore", "store", true},
		{"store/redis", "internal/caddyargs", true},
		{"store/redis", "store", true},
		{"store/redis", "store/memory", false},
		{"command", ".", false},
		{"command", "internal/adminapi", true},
		{"internal/doctor", "command", false},
		{".", "command", true},
		{".", "store/memory", true},
		{"directory/list", ".", false},
		{"directory/list", "directory", true},
		{"directory/list", "directory/file", false},
		{"internal/flow", "telemetry", false},
		{"store/redis", "telemetry", false},
		{"telemetry", "internal/op", true},
		{"telemetry", ".", false},
		{".", "telemetry", true},
		{"internal/flow", "directory", false},
		{"internal/knownusers", "directory", true},
		{".", "internal/oidctest", false},
		{".", "github.com/caddyserver/caddy/v2", true},
	} {
		if broken := brokenImportRule(tc.from, tc.to); (broken == "") != tc.allowed {
			t.Errorf("%s imports %s: expected allowed %v, seen %q", tc.from, tc.to, tc.allowed, broken)
		}
	}
}

func TestDirectRequirements(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	inBlock := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		switch {
		case line == "require (":
			inBlock = true
		case line == ")":
			inBlock = false
		case len(fields) >= 2 && (inBlock || strings.HasPrefix(line, "require ")) && !strings.Contains(line, "// indirect"):
			required = append(required, fields[0])
		}
	}
	slices.Sort(required)
	if !slices.Equal(required, directRequirements) {
		t.Errorf("direct requirements of go.mod: expected %q, seen %q", directRequirements, required)
	}
}
