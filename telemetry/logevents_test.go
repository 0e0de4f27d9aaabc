package telemetry

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

var snakeCase = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// The functions that log: methods of loggers, and functions of package flow with the
// index of their event argument.
var (
	logMethods  = []string{"Debug", "Info", "Warn", "Error", "LogAttrs"}
	flowMethods = map[string]int{"debug": 0, "info": 0, "warn": 0, "write": 0, "warnOnce": 3}
)

// logEvents calls found with each place where this module logs, and its event, or "" if
// there is none.
func logEvents(t *testing.T, found func(place, event string)) {
	t.Helper()
	root := ".."
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return filepath.SkipDir // another module documents its events on its own page, and has its own test
			}
			if slices.Contains([]string{"e2e", "bench", "cmd", "integration", "testdata", "oidctest", "redistest", "storetest"}, entry.Name()) || strings.HasPrefix(entry.Name(), ".") && path != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		inFlow := file.Name.Name == "flow"
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				if event, logs := eventOf(call, inFlow); logs {
					found(files.Position(call.Pos()).String(), event)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eventOf returns the event of a call that logs.
func eventOf(call *ast.CallExpr, inFlow bool) (event string, logs bool) {
	name, of := "", ""
	switch function := call.Fun.(type) {
	case *ast.Ident:
		name = function.Name
	case *ast.SelectorExpr:
		name, of = function.Sel.Name, textOf(function.X)
	}
	if at, helper := flowMethods[name]; helper && inFlow && len(call.Args) > at {
		if textOf(call.Args[at]) == "event" {
			return "forwarded", true
		}
		return literal(call.Args[at]), literal(call.Args[at]) != "" || name != "write"
	}
	if !slices.Contains(logMethods, name) || !strings.Contains(strings.ToLower(of), "logger") {
		return "", false
	}
	ast.Inspect(call, func(node ast.Node) bool {
		inner, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := inner.Fun.(*ast.SelectorExpr)
		switch {
		case ok && selector.Sel.Name == "String" && len(inner.Args) == 2 && literal(inner.Args[0]) == "event":
			if event = literal(inner.Args[1]); event == "" {
				event = "forwarded" // by the helpers of package flow
			}
		case ok && selector.Sel.Name == "Attrs" && event == "" && textOf(selector.X) != "r":
			event = "audit" // the attributes of an audit event include it
		}
		return true
	})
	return event, true
}

func literal(e ast.Expr) string {
	if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
		value, _ := strconv.Unquote(text.Value)
		return value
	}
	return ""
}

// textOf returns the names in an expression.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return textOf(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return textOf(e.Fun)
	}
	return ""
}

// Every log line has the field event, and docs/operations.md lists its values.
func TestEveryLogLineHasAnEvent(t *testing.T) {
	t.Parallel()
	documented := make(map[string]bool)
	_, table, found := strings.Cut(read(t, "docs", "operations.md"), "### Events in the log\n")
	if !found {
		t.Fatal("docs/operations.md has no list of events")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		documented[m[1]] = true
	}
	seen := make(map[string]bool)
	logEvents(t, func(place, event string) {
		switch {
		case event == "audit" || event == "forwarded":
			return
		case !snakeCase.MatchString(event):
			t.Errorf("%s: expected a log line with an event, seen %q", place, event)
		case !documented[event]:
			t.Errorf("%s: the event %s is not in docs/operations.md", place, event)
		}
		seen[event] = true
	})
	if len(seen) < 50 {
		t.Errorf("expected many events, seen %d", len(seen))
	}
	for _, event := range slices.Sorted(maps.Keys(documented)) {
		if !seen[event] {
			t.Errorf("docs/operations.md has the event %s, which no line has", event)
		}
	}
}
