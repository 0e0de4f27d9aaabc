package oidcrp_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The limits of the layout. Split a package that exceeds one of them.
const (
	maxRootFiles      = 30
	maxRootTestFiles  = 25
	maxRootLines      = 350 // of a file without tests
	maxHandlerMethods = 40
	maxLines          = 400 // of any file without tests
)

// goFiles returns the Go files of a folder of this module, parsed, by name.
func goFiles(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]*ast.File)
	for _, name := range names {
		if files[name], err = parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// folders returns the folders of this module that have Go files.
func folders(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name != "." {
			if base := filepath.Base(name); strings.HasPrefix(base, ".") || base == "testdata" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return filepath.SkipDir // another module
			}
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func lines(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func TestTheTopLevelCanBeWalked(t *testing.T) {
	t.Parallel()
	code, tests, methods := 0, 0, 0
	for name, file := range goFiles(t, ".") {
		if strings.HasSuffix(name, "_test.go") {
			tests++
			continue
		}
		code++
		if n := lines(t, name); n > maxRootLines {
			t.Errorf("%s has %d lines; at the top level a file has at most %d", name, n, maxRootLines)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && receiver(f) == "Handler" {
				methods++
			}
		}
	}
	if code > maxRootFiles {
		t.Errorf("the top level has %d Go files; at most %d", code, maxRootFiles)
	}
	if tests > maxRootTestFiles {
		t.Errorf("the top level has %d test files; at most %d", tests, maxRootTestFiles)
	}
	if methods > maxHandlerMethods {
		t.Errorf("Handler has %d methods; at most %d", methods, maxHandlerMethods)
	}
	for _, name := range []string{
		"go.mod", "go.sum", "module.go", "caddyfile.go", "handler.go", "session.go", "logout.go", "module_test.go", "example.Caddyfile", "README.md",
	} {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("the top level has no %s", name)
		}
	}
}

// receiver returns the name of the type that a method belongs to.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// foreign matches words and phrases that read as translated.
var foreign = regexp.MustCompile(`(?i)\b(nobody|anew|who asks|who keeps|(says|tells) whether|now and then|(is|are|was|were) told)\b`)

func TestFilesAreShortAndInPlainEnglish(t *testing.T) {
	t.Parallel()
	for _, folder := range folders(t) {
		for name, file := range goFiles(t, folder) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			if n := lines(t, name); n > maxLines {
				t.Errorf("%s has %d lines; a file has at most %d", name, n, maxLines)
			}
			for _, group := range file.Comments {
				if found := foreign.FindString(group.Text()); found != "" {
					t.Errorf("%s: a comment has %q: %.80q", name, found, group.Text())
				}
			}
		}
	}
}

// Every package says what it does and what it does not.
func TestEveryPackageHasAComment(t *testing.T) {
	t.Parallel()
	for _, folder := range folders(t) {
		code, documented := 0, false
		for name, file := range goFiles(t, folder) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			code++
			documented = documented || file.Doc != nil
		}
		if code > 0 && !documented {
			t.Errorf("no file of %s has a package comment", folder)
		}
	}
}

// TestReadmeAndDocumentsNameFilesThatExist reminds you to update docs/contributing.md
// when you move a file that it names, or add a package.
func TestReadmeAndDocumentsNameFilesThatExist(t *testing.T) {
	t.Parallel()
	text := documents(t)[filepath.Join("docs", "contributing.md")]
	for _, m := range regexp.MustCompile("`((?:internal|store|telemetry|directory|cmd|pages|bench|e2e|docs|testdata|integration)(?:/[a-z_/.]+)?|[a-z_/]+\\.go)`").FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.FromSlash(m[1])); err != nil {
			t.Errorf("docs/contributing.md names %s, which does not exist (any more)", m[1])
		}
	}
	packages, err := os.ReadDir("internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if !strings.Contains(text, "`internal/"+p.Name()+"`") {
			t.Errorf("docs/contributing.md does not say what is in internal/%s", p.Name())
		}
	}
}

// testFunctions returns the comments of this repository's tests, by the test's name.
func testFunctions(t *testing.T) map[string]string {
	t.Helper()
	function := regexp.MustCompile(`(?m)((?:^//.*\n)*)^func ((?:Test|Fuzz)\w+)\(`)
	comments := make(map[string]string)
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			comments[m[2]] += m[1]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return comments
}

// TestDocumentsNameTestsThatExist checks the pages that name tests, of this module or
// of idp, for what they promise.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	tests, pages := testFunctions(t), documents(t)
	for _, page := range []string{"security.md", "identity-provider-security.md", "faults.md"} {
		named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)`").FindAllStringSubmatch(pages[filepath.Join("docs", page)], -1)
		if len(named) == 0 {
			t.Errorf("docs/%s names no test", page)
		}
		for _, m := range named {
			if _, ok := tests[m[1]]; !ok {
				t.Errorf("docs/%s names %s, which does not exist (any more)", page, m[1])
			}
		}
	}
}

// faults is the number of rows in docs/faults.md.
const faults = 54

// TestDocumentsHaveEveryFault checks that each fault has its row in docs/faults.md, and
// that the comment of one of the tests in the row refers to the row.
func TestDocumentsHaveEveryFault(t *testing.T) {
	t.Parallel()
	tests := testFunctions(t)
	rows := regexp.MustCompile(`(?m)^\| F(\d\d) \|.*$`).FindAllStringSubmatch(documents(t)[filepath.Join("docs", "faults.md")], -1)
	if len(rows) != faults {
		t.Errorf("docs/faults.md: expected %d rows, seen %d", faults, len(rows))
	}
	for i, row := range rows {
		number := fmt.Sprintf("%02d", i+1)
		if row[1] != number {
			t.Errorf("docs/faults.md: expected the row F%s, seen F%s", number, row[1])
		}
		held := false
		for _, m := range regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]+)`").FindAllStringSubmatch(row[0], -1) {
			held = held || regexp.MustCompile(`docs/faults\.md, rows? .*\bF`+number+`\b`).MatchString(tests[m[1]])
		}
		if !held {
			t.Errorf("docs/faults.md: expected that the comment of a test in row F%s refers to the row, seen none", number)
		}
	}
}

// TestEveryThreatHasATest checks the tables of docs/security.md: each attacker has one,
// and each row says what protects and ends with the tests that show it.
func TestEveryThreatHasATest(t *testing.T) {
	t.Parallel()
	_, threats, _ := strings.Cut(documents(t)[filepath.Join("docs", "security.md")], "\n## Threats\n")
	threats, _, _ = strings.Cut(threats, "\n## ")
	attackers := strings.Split(threats, "\n### ")[1:]
	if len(attackers) < 8 {
		t.Errorf("docs/security.md: expected at least 8 attackers, seen %d", len(attackers))
	}
	for _, attacker := range attackers {
		name, table, _ := strings.Cut(attacker, "\n")
		_, rows, found := strings.Cut(table, "| --- | --- | --- |\n")
		if !found {
			t.Errorf("docs/security.md: %s has no table of three columns", name)
		}
		for row := range strings.Lines(strings.TrimSpace(rows)) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), " | ")
			if len(cells) != 3 || !regexp.MustCompile("^ ?`(Test|Fuzz)").MatchString(cells[2]) {
				t.Errorf("docs/security.md: %s: expected an attack, what holds, and tests, seen %q", name, row)
			}
		}
	}
}

// withParsers are the packages that parse input from others: browsers, programs,
// providers, directories, proxies, storages, files, the admin API and configurations.
// Each must have a fuzz target. Other packages may have one as well.
var withParsers = []string{
	".", "directory/file", "directory/scim", "internal/accesskey", "internal/address", "internal/adminapi", "internal/authresponse", "internal/authz", "internal/bearer", "internal/caddycel",
	"internal/callback", "internal/claims", "internal/clusterstore", "internal/compact", "internal/cookie", "internal/cookiescope", "internal/doctor", "internal/dpop", "internal/expression", "internal/flow", "internal/handover",
	"internal/headers", "internal/httpconfig", "internal/identity", "internal/keycommand", "internal/locale", "internal/logtext", "internal/navigation", "internal/op", "internal/opconfig", "internal/placeholder",
	"internal/program", "internal/query", "internal/refresh", "internal/revocation", "internal/seal", "internal/session", "internal/sessionstore", "internal/subrequest", "internal/suggest",
	"internal/wire", "ruleconfig", "siteconfig", "store/redis", "store/storage",
}

// The limits of a committed corpus, which keep it small enough for every go test to
// replay.
const (
	minCorpus     = 1
	maxCorpus     = 24
	maxCorpusFile = 8 << 10 // bytes
)

// TestEveryParserHasAFuzzTarget also checks that each target has seeds and a corpus
// that go test replays, and that each corpus has a target, since nothing replays one
// without.
func TestEveryParserHasAFuzzTarget(t *testing.T) {
	t.Parallel()
	var found []string
	for _, folder := range folders(t) {
		targets := fuzzTargets(t, folder)
		if len(targets) > 0 {
			found = append(found, filepath.ToSlash(folder))
		}
		corpora, err := filepath.Glob(filepath.Join(folder, "testdata", "fuzz", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, corpus := range corpora {
			if _, ok := targets[filepath.Base(corpus)]; !ok {
				t.Errorf("%s belongs to no fuzz target (any more)", corpus)
			}
		}
		for name, seeds := range targets {
			if seeds == 0 {
				t.Errorf("%s: %s has no seeds: call f.Add", folder, name)
			}
			if slices.Contains(withParsers, filepath.ToSlash(folder)) {
				checkCorpus(t, filepath.Join(folder, "testdata", "fuzz", name))
			}
		}
	}
	for _, folder := range withParsers {
		if !slices.Contains(found, folder) {
			t.Errorf("%s reads what others have written, and has no fuzz target", folder)
		}
	}
}

// fuzzTargets returns the number of f.Add calls of each fuzz target in a folder.
func fuzzTargets(t *testing.T, folder string) map[string]int {
	t.Helper()
	targets := make(map[string]int)
	for name, file := range goFiles(t, folder) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			targets[f.Name.Name] = 0
			ast.Inspect(f.Body, func(node ast.Node) bool {
				if call, ok := node.(*ast.SelectorExpr); ok && call.Sel.Name == "Add" {
					targets[f.Name.Name]++
				}
				return true
			})
		}
	}
	return targets
}

func checkCorpus(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < minCorpus || len(files) > maxCorpus {
		t.Errorf("%s: expected %d to %d files, seen %d; FUZZ_KEEP=8 e2e/fuzz 20s %s finds some", folder, minCorpus, maxCorpus, len(files), filepath.Base(folder))
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() > maxCorpusFile {
			t.Errorf("%s: expected at most %d bytes", name, maxCorpusFile)
		}
	}
}
