package oidcidp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// All functions that log set the field event, and docs/identity-provider.md lists its
// values.
func TestEveryLogLineHasAnEvent(t *testing.T) {
	t.Parallel()
	documented := documentedEvents(t)
	seen := make(map[string]string) // events and the folders that log them
	for folder, files := range packages(t) {
		forwards := make(map[string]int) // functions with a parameter event, and its index
		for _, file := range files.parsed {
			for _, function := range functions(file) {
				logs, events, parameter := eventsIn(function)
				if logs && len(events) == 0 && parameter == "" && !callsForwarder(function, files.parsed) {
					t.Errorf("%s: %s: expected a log line with an event, seen none", folder, function.Name.Name)
				}
				for _, event := range events {
					seen[event] = folder
				}
				if n := parameterAt(function, "event"); parameter != "" && n >= 0 {
					forwards[function.Name.Name] = n
				}
			}
		}
		for _, file := range files.parsed {
			ast.Inspect(file, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				if !ok {
					return true
				}
				if n, known := forwards[nameOf(call.Fun)]; known && n < len(call.Args) {
					if event := textOf(call.Args[n]); event != "" {
						seen[event] = folder
					}
				}
				return true
			})
		}
	}
	if len(seen) < 40 {
		t.Errorf("expected many events, seen %d", len(seen))
	}
	for _, event := range slices.Sorted(maps.Keys(seen)) {
		if !documented[event] {
			t.Errorf("%s: the event %s is not in docs/identity-provider.md", seen[event], event)
		}
	}
}

// documentedEvents returns the events in the table of docs/identity-provider.md.
func documentedEvents(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "identity-provider.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## The log\n")
	if !found {
		t.Fatal("docs/identity-provider.md has no list of events")
	}
	table, _, _ = strings.Cut(table, "\n### ")
	all := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			all[m[1]] = true
		}
	}
	return all
}

type parsedPackage struct{ parsed []*ast.File }

// packages returns the packages of this module by folder, without tests.
func packages(t *testing.T) map[string]*parsedPackage {
	t.Helper()
	all := make(map[string]*parsedPackage)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "databasetest") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		folder := filepath.Dir(path)
		if all[folder] == nil {
			all[folder] = new(parsedPackage)
		}
		all[folder].parsed = append(all[folder].parsed, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func functions(file *ast.File) (all []*ast.FuncDecl) {
	for _, d := range file.Decls {
		if function, ok := d.(*ast.FuncDecl); ok && function.Body != nil {
			all = append(all, function)
		}
	}
	return all
}

// eventsIn reports whether a function logs. It returns the events that the function names
// or, where an event is not a literal, the name of the expression.
func eventsIn(function *ast.FuncDecl) (logs bool, events []string, expression string) {
	ast.Inspect(function.Body, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
			isLogger := strings.HasSuffix(strings.ToLower(nameOf(selector.X)), "logger")
			logs = logs || isLogger && slices.Contains([]string{"Debug", "Info", "Warn", "Error", "LogAttrs"}, selector.Sel.Name)
		}
		for i, argument := range call.Args {
			if textOf(argument) != "event" || i+1 >= len(call.Args) {
				continue
			}
			if event := textOf(call.Args[i+1]); event != "" {
				events = append(events, event)
			} else {
				expression = nameOf(call.Args[i+1])
			}
		}
		return true
	})
	return logs, events, expression
}

// callsForwarder reports whether a function calls another function of the package that has
// the event as a parameter.
func callsForwarder(function *ast.FuncDecl, files []*ast.File) (calls bool) {
	ast.Inspect(function.Body, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			for _, file := range files {
				for _, other := range functions(file) {
					calls = calls || other.Name.Name == nameOf(call.Fun) && parameterAt(other, "event") >= 0
				}
			}
		}
		return true
	})
	return calls
}

// parameterAt returns the index of a parameter, or -1.
func parameterAt(function *ast.FuncDecl, name string) int {
	at := 0
	for _, field := range function.Type.Params.List {
		for _, parameter := range field.Names {
			if parameter.Name == name {
				return at
			}
			at++
		}
	}
	return -1
}

// nameOf returns the last name of an expression.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return nameOf(e.Fun)
	}
	return ""
}

// textOf returns the value of a string literal.
func textOf(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(literal.Value)
	return text
}
