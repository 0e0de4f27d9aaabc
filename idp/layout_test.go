package oidcidp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	thisModule = "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
	maxLines   = 350 // of a file other than a test
)

// source is a Go file of this module.
type source struct {
	name, folder string
	file         *ast.File
	lines        int
}

// sources returns the Go files of this module, except tests.
func sources(t *testing.T) (all []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		all = append(all, source{name, filepath.ToSlash(filepath.Dir(name)), file, strings.Count(string(text), "\n")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// foreign matches unidiomatic words and phrases.
var foreign = regexp.MustCompile(`(?i)\b(nobody|anew|who asks|who keeps|(says|tells) whether|now and then|(is|are|was|were) told)\b`)

func TestFilesAreShortAndInPlainEnglish(t *testing.T) {
	t.Parallel()
	documented := make(map[string]bool)
	for _, s := range sources(t) {
		if s.lines > maxLines {
			t.Errorf("%s: expected at most %d lines, seen %d", s.name, maxLines, s.lines)
		}
		for _, group := range s.file.Comments {
			if found := foreign.FindString(group.Text()); found != "" {
				t.Errorf("%s: a comment has %q: %.80q", s.name, found, group.Text())
			}
		}
		documented[s.folder] = documented[s.folder] || s.file.Doc != nil
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("no file of %s has a package comment", folder)
		}
	}
}

// wiring are the modules that packages under internal must not import.
var wiring = []string{"github.com/caddyserver", "go.uber.org", "github.com/prometheus", "github.com/spf13"}

// onlyHere are libraries and the only package that may import each of them.
var onlyHere = map[string]string{
	"github.com/luikyv/go-oidc":       "internal/provider",
	"github.com/crewjam/saml":         "internal/broker",
	"github.com/go-webauthn/webauthn": "internal/factors",
	"github.com/pquerna/otp":          "internal/factors",
	"github.com/trustelem/zxcvbn":     "internal/passwords",
	"golang.org/x/crypto/argon2":      "internal/passwords",
	"github.com/wneessen/go-mail":     "internal/mail",
	"modernc.org/sqlite":              "internal/database",
	"github.com/jackc/pgx":            "internal/database",
}

func under(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// Only the top level imports Caddy, only one package imports each of the libraries, and no
// package under internal imports the top level.
func TestImportLaw(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if broken := brokenImportRule(s.folder, path); broken != "" {
				t.Errorf("%s imports %s: %s", s.name, path, broken)
			}
		}
	}
}

func brokenImportRule(folder, path string) string {
	if under(folder, "internal") {
		for _, module := range wiring {
			if under(path, module) {
				return "packages under internal know nothing of Caddy"
			}
		}
		if path == thisModule {
			return "packages under internal do not import the top level"
		}
	}
	for library, home := range onlyHere {
		if under(path, library) && !under(folder, home) && folder != "." {
			return "only " + home + " knows this library"
		}
	}
	return ""
}

func TestBrokenImportRules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		folder, path string
		broken       bool
	}{
		{".", "github.com/caddyserver/caddy/v2", false},
		{"internal/server", "github.com/caddyserver/caddy/v2", true},
		{"internal/server", "go.uber.org/zap", true},
		{"internal/server", thisModule, true},
		{"internal/server", thisModule + "/internal/store", false},
		{"internal/server", "github.com/crewjam/saml", true},
		{"internal/broker/saml", "github.com/crewjam/saml", false},
		{"internal/passwords", "golang.org/x/crypto/argon2", false},
		{"internal/factors", "golang.org/x/crypto/argon2", true},
	} {
		if got := brokenImportRule(row.folder, row.path) != ""; got != row.broken {
			t.Errorf("%s imports %s: expected broken %v, seen %v", row.folder, row.path, row.broken, got)
		}
	}
}
