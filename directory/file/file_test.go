package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory/directorytest"
)

func TestFile(t *testing.T) {
	t.Parallel()
	for _, form := range []struct {
		name, header string
		line         func(id string) string
	}{
		{"lines", fileOf("# known users"), func(id string) string { return id }},
		{"table", fileOf("userName,active", "mallory,false"), func(id string) string { return `"` + strings.ReplaceAll(id, `"`, `""`) + `",true` }},
	} {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			directorytest.Run(t, func(t *testing.T, users ...directory.User) directory.Directory {
				text := form.header
				for _, user := range users {
					text += form.line(user.ID) + "\n"
				}
				path := filepath.Join(t.TempDir(), "users")
				write(t, path, text)
				f := &File{Path: path}
				ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
				t.Cleanup(cancel)
				if err := f.Provision(ctx); err != nil {
					t.Fatal(err)
				}
				return f
			})
		})
	}
}

// fileOf returns the text of a file with these lines.
func fileOf(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bench is a file with a clock and a log of its test.
type bench struct {
	t    *testing.T
	path string
	logs *observer.ObservedLogs
	file *File

	mu    sync.Mutex
	clock time.Time
	// asleep is called between two reads that must agree.
	asleep func()
	slept  int
}

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "users"), logs: logs, clock: time.Now(), asleep: func() {}}
	write(t, b.path, text)
	content, err := open(b.path, b.now, zap.New(core), func(time.Duration) { b.slept++; b.asleep() })
	if err != nil {
		t.Fatal(err)
	}
	b.file = &File{content: content}
	return b
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

// pass advances the clock.
func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

func (b *bench) expect(name string, expected bool) {
	b.t.Helper()
	known, err := b.file.Knows(b.t.Context(), directorytest.User(name))
	if err != nil {
		b.t.Errorf("%s: expected an answer, seen the error %v", name, err)
	}
	if known != expected {
		b.t.Errorf("%s: expected known %t, seen %t", name, expected, known)
	}
}

func (b *bench) logged(message string) int { return b.logs.FilterMessageSnippet(message).Len() }

func TestAFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t, fileOf("alice"))
	write(t, b.path, fileOf("alice", "bob"))
	b.expect("bob", false)
	b.pass(3 * time.Second)
	b.expect("bob", true)
	b.expect("alice", true)
	if b.slept != 0 {
		t.Error("expected a file that has grown to count at once")
	}
	write(t, b.path, fileOf("bob"))
	b.pass(3 * time.Second)
	b.expect("alice", false)
	b.expect("bob", true)
	if b.slept != 1 {
		t.Errorf("expected one more read of a file that has lost users, seen %d", b.slept)
	}
}

// While a file is being written, users seem to be missing from it. They stay known.
func TestAFileThatIsBeingWrittenLosesNoUsers(t *testing.T) {
	t.Parallel()
	b := newBench(t, fileOf("alice", "bob"))
	write(t, b.path, "")
	steps := []string{"ali", fileOf("alice", "bob", "carol"), fileOf("alice", "bob", "carol")}
	b.asleep = func() { write(t, b.path, steps[0]); steps = steps[1:] }
	b.pass(3 * time.Second)
	b.expect("bob", true)
	b.expect("alice", true)
	b.expect("carol", true)
	b.expect("ali", false)

	b.asleep = func() { write(t, b.path, strings.Repeat("x", b.slept)) }
	b.asleep()
	b.pass(3 * time.Second)
	b.expect("alice", true)
	if b.logged("cannot be read") != 1 {
		t.Error("expected an error about a file that changes all the time")
	}
	b.asleep = func() {}
	write(t, b.path, fileOf("carol"))
	b.pass(3 * time.Second)
	b.expect("carol", true)
	b.expect("alice", false)
}

// A file that cannot be read counts for another hour. Then none of its users is known.
func TestAFileThatCannotBeReadCountsForAnHour(t *testing.T) {
	t.Parallel()
	b := newBench(t, fileOf("alice"))
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.pass(10 * time.Hour) // without a request
	b.expect("alice", true)
	b.pass(59 * time.Minute)
	b.expect("alice", true)
	b.pass(time.Minute)
	b.expect("alice", false)
	b.expect("alice", false)
	if n := b.logged("cannot be read"); n != 1 {
		t.Errorf("expected one error about the file, seen %d", n)
	}
	if n := b.logged("for an hour; no user in it is known"); n != 1 {
		t.Errorf("expected one error about the end of the hour, seen %d", n)
	}
	write(t, b.path, fileOf("alice"))
	b.pass(3 * time.Second)
	b.expect("alice", true)
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.pass(3 * time.Second)
	b.expect("alice", true)
	b.pass(time.Hour)
	b.expect("alice", false)
}

func TestBadLinesAreLoggedByNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, fileOf("userName,active", "alice,true", "bob,secret")+strings.Repeat(fileOf("carol,maybe"), 20))
	lines := b.logs.FilterMessageSnippet("a line of a file").All()
	if len(lines) != loggedLines {
		t.Errorf("expected %d lines in the log, seen %d", loggedLines, len(lines))
	}
	if number := lines[0].ContextMap()["line"]; number != int64(3) {
		t.Errorf("expected line 3 first, seen %v", number)
	}
	if b.logged("more lines") != 1 {
		t.Error("expected the number of the other lines")
	}
	for _, entry := range b.logs.All() {
		for _, value := range entry.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, "secret") {
				t.Errorf("the log repeats what the line holds: %s", text)
			}
		}
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := (&File{Path: filepath.Join(t.TempDir(), "absent")}).Provision(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected an error about a missing file, seen %v", err)
	}
	if err := (&File{Path: t.TempDir()}).Provision(ctx); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("expected an error about a folder, seen %v", err)
	}
	if err := new(File).Provision(ctx); err == nil || !strings.Contains(err.Error(), "path is missing") {
		t.Errorf("expected an error about no path, seen %v", err)
	}
}
