package keycommand

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
)

var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// run runs the command. The only duration that it supports is 1d.
func run(input string, do func(*Command) error) (out string, err error) {
	return runAs(input, false, do)
}

func runAs(input string, asJSON bool, do func(*Command) error) (out string, err error) {
	var written bytes.Buffer
	err = do(&Command{
		Now: func() time.Time { return now },
		ParseDuration: func(text string) (time.Duration, error) {
			if text == "1d" {
				return 24 * time.Hour, nil
			}
			return 0, fmt.Errorf("%q is not a duration", text)
		},
		In: strings.NewReader(input), Out: &written, JSON: asJSON,
	})
	return written.String(), err
}

func creates(name, groups, expires string) func(*Command) error {
	return func(c *Command) error { return c.New(name, groups, expires) }
}

func lists(path string) func(*Command) error { return func(c *Command) error { return c.List(path) } }

func checks(path string) func(*Command) error { return func(c *Command) error { return c.Check(path) } }

func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// made creates a key with the command.
func made(t *testing.T, name, groups, expires string) (key, line string) {
	t.Helper()
	out, err := runAs("", true, creates(name, groups, expires))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var said struct{ Key, Line string }
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("expected JSON, seen %q", out)
	}
	return said.Key, said.Line
}

func TestNewPrintsAKeyAndItsLine(t *testing.T) {
	t.Parallel()
	out, err := run("", creates("ci", "deploy,ops", "2030-02-01T00:00:00+01:00"))
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`(?m)^(orp_ci_[A-Za-z0-9_-]{43}_[0-9a-f]{8})$[\s\S]*^(ci:[0-9a-f]{64}:deploy,ops:2030-02-01T00:00:00\+01:00)$`)
	found := form.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("expected a key and its line, each on a line of its own, seen:\n%s", out)
	}
	lines, bad := accesskey.Parse(found[2])
	if len(lines) != 1 {
		t.Fatalf("expected a line, seen %v", bad)
	}
	if lines[0].Hash != accesskey.HashOf(found[1]) {
		t.Error("expected the line to have the hash of the key")
	}
	for _, row := range []struct{ groups, expires, end string }{{"", "", ""}, {"a", "", ":a"}, {"", "1d", "::2030-01-02T00:00:00Z"}} {
		_, line := made(t, "ci", row.groups, row.expires)
		if seen := line[len("ci:")+64:]; seen != row.end {
			t.Errorf("%q, %q: expected a line that ends in %q, seen %q", row.groups, row.expires, row.end, seen)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, groups, expires string }{
		{"", "", ""}, {"a b", "", ""}, {"a:b", "", ""}, {"a", "a,", ""}, {"a", "a:b", ""}, {"a", "", "soon"}, {"a", "", "2029-12-31T23:59:59Z"}, {"a", "", "2030-01-01T00:00:00Z"},
	} {
		out, err := run("", creates(row.name, row.groups, row.expires))
		if err == nil {
			t.Errorf("%q: expected an error", row)
		}
		if out != "" {
			t.Errorf("%q: expected no output, seen %q", row, out)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ci, ciLine := made(t, "ci", "deploy", "1d")
	old, oldLine := made(t, "old", "", "")
	renamed, renamedLine := made(t, "before", "", "")
	unlisted, _ := made(t, "ci", "", "")
	path := file(t, "# keys", ciLine, oldLine+"::2029-12-31T00:00:00Z", strings.Replace(renamedLine, "before", "after", 1))
	for _, row := range []struct {
		name, input, out, err string
	}{
		{"a key", ci, "2     ci    deploy  2030-01-02T00:00:00Z  valid", ""},
		{"a key and a line break", " " + ci + "\r\n", "valid", ""},
		{"a key that has expired", old, "expired", "it expired at 2029-12-31T00:00:00Z"},
		{"a key of another name", renamed, "", "line 4 has it under another name"},
		{"a key without a line", unlisted, "", "no line of the file has it"},
		{"a key with a typing error", ci[:len(ci)-1] + "x", "", "checksum"},
		{"something else", "hunter2", "", "form"},
		{"nothing", "\n", "", "no key on standard input"},
		{"too much", strings.Repeat(ci, 1000), "", "form"},
	} {
		out, err := run(row.input, checks(path))
		if !strings.Contains(out, row.out) {
			t.Errorf("%s: expected %q, seen %q", row.name, row.out, out)
		}
		if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: expected the error %q, seen %v", row.name, row.err, err)
		}
		if err != nil && len(row.input) > 20 && strings.Contains(err.Error()+out, row.input[8:20]) {
			t.Errorf("%s: expected nothing of the key, seen %q and %v", row.name, out, err)
		}
	}
	if _, err := run(ci, checks(filepath.Join(t.TempDir(), "none"))); err == nil {
		t.Error("expected an error without a file")
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	_, ci := made(t, "ci", "deploy,ops", "")
	_, old := made(t, "old", "", "")
	out, err := run("", lists(file(t, ci, "", old+"::2029-12-31T00:00:00Z")))
	if err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	expected := `LINE  NAME  GROUPS      EXPIRES               STATE
1     ci    deploy,ops  -                     valid
3     old   -           2029-12-31T00:00:00Z  expired
`
	if out != expected {
		t.Errorf("expected\n%s\nseen\n%s", expected, out)
	}
	path := file(t, ci, "hunter2", old)
	out, err = run("", lists(path))
	if err == nil || !strings.Contains(err.Error(), "1 of the lines are ignored") {
		t.Errorf("expected an error about one line, seen %v", err)
	}
	if !strings.Contains(out, "2     -     -           -        ignored: ") {
		t.Errorf("expected the number of the bad line, seen\n%s", out)
	}
	if strings.Contains(out, "hunter2") {
		t.Errorf("expected nothing of the bad line, seen\n%s", out)
	}
	out, _ = runAs("", true, lists(path))
	var entries []entry
	if err := json.Unmarshal([]byte(out), &entries); err != nil || len(entries) != 3 {
		t.Errorf("expected three entries in JSON, seen %q", out)
	}
	if out, err := run("", lists(file(t))); err != nil || !strings.HasPrefix(out, "LINE") {
		t.Errorf("expected the head of a table, seen %q and %v", out, err)
	}
}
