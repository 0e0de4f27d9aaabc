package livefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bench is a folder, a clock, and the reported events.
type bench struct {
	t      *testing.T
	folder string
	mu     sync.Mutex
	clock  time.Time
	events []Event
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, folder: t.TempDir(), clock: time.Unix(1_800_000_000, 0)}
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

// pass advances the clock until files are checked again.
func (b *bench) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(Every)
}

func (b *bench) notify(e Event) { b.events = append(b.events, e) }

// reported returns a summary of the events since the last call.
func (b *bench) reported() string {
	var all []string
	for _, e := range b.events {
		text := [...]string{"changed", "broken", "writable"}[e.Kind]
		for _, file := range e.Files {
			text += " " + filepath.Base(file)
		}
		if e.Err != nil {
			text += ": " + e.Err.Error()
		}
		all = append(all, text)
	}
	b.events = nil
	return strings.Join(all, ", ")
}

func (b *bench) path(name string) string { return filepath.Join(b.folder, name) }

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// text makes a value from the content of files. The content "bad" is an error.
func (b *bench) text(names ...string) func(Read) (string, error) {
	return func(read Read) (string, error) {
		var all []string
		for _, name := range names {
			text, err := read(b.path(name))
			if err != nil {
				return "", err
			}
			if string(text) == "bad" {
				return "", errors.New("is bad")
			}
			all = append(all, string(text))
		}
		return strings.Join(all, "+"), nil
	}
}

func (b *bench) value(make func(Read) (string, error)) *Value[string] {
	b.t.Helper()
	v, err := New(b.now, b.notify, make)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *bench) expect(v *Value[string], want, report string) {
	b.t.Helper()
	if got := v.Get(); got != want {
		b.t.Errorf("the value: expected %q, seen %q", want, got)
	}
	if got := b.reported(); got != report {
		b.t.Errorf("report: expected %q, seen %q", report, got)
	}
}

// A changed file is noticed when it is checked next.
func TestChangeIsSeenAfterAWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("a", "1")
	v := b.value(b.text("a"))
	b.expect(v, "1", "")
	b.write("a", "2")
	b.expect(v, "1", "") // not yet
	b.pass()
	b.expect(v, "2", "changed a")
	b.pass()
	b.expect(v, "2", "")
}

func TestContentCountsAndNotTheModificationTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	then := time.Unix(1_700_000_000, 0)
	set := func(text string) {
		b.write("a", text)
		if err := os.Chtimes(b.path("a"), then, then); err != nil {
			t.Fatal(err)
		}
	}
	set("1")
	v := b.value(b.text("a"))
	set("2")
	b.pass()
	b.expect(v, "2", "changed a")
	if err := os.Chtimes(b.path("a"), then.Add(time.Hour), then.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.pass()
	b.expect(v, "2", "")
}

func TestBrokenFileKeepsTheLastGoodContent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("a", "1")
	v := b.value(b.text("a"))
	b.write("a", "bad")
	b.pass()
	b.expect(v, "1", "broken a: is bad")
	b.pass()
	b.expect(v, "1", "") // reported once
	if err := os.Remove(b.path("a")); err != nil {
		t.Fatal(err)
	}
	b.pass()
	if got := v.Get(); got != "1" {
		t.Errorf("a removed file: expected the value to stay 1, seen %q", got)
	}
	if got := b.reported(); !strings.HasPrefix(got, "broken a: ") {
		t.Errorf("a removed file: expected a report that it is broken, seen %q", got)
	}
	b.pass()
	b.expect(v, "1", "")
	b.write("a", "3")
	b.pass()
	b.expect(v, "3", "changed a")
	b.write("a", "bad")
	b.pass()
	b.expect(v, "3", "broken a: is bad")
	b.write("a", "3")
	b.pass()
	b.expect(v, "3", "changed a")
}

func TestSeveralFilesAreOneValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("a", "1")
	b.write("b", "1")
	v := b.value(b.text("a", "b"))
	b.write("a", "bad")
	b.write("b", "2")
	b.pass()
	b.expect(v, "1+1", "broken a b: is bad")
	b.write("a", "2")
	b.pass()
	b.expect(v, "2+2", "changed a")
	b.write("b", "3") // read after the bad one
	b.pass()
	b.expect(v, "2+3", "changed b")
}

func TestFileThatAppears(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.value(func(read Read) (string, error) {
		text, err := read(b.path("own"))
		if errors.Is(err, fs.ErrNotExist) {
			return "default", nil
		}
		return string(text), err
	})
	b.expect(v, "default", "")
	b.write("own", "mine")
	b.pass()
	b.expect(v, "mine", "changed own")
	if err := os.Remove(b.path("own")); err != nil {
		t.Fatal(err)
	}
	b.pass()
	b.expect(v, "default", "changed own")
}

// Kubernetes replaces the folder behind a symbolic link.
func TestSymbolicLinksAreFollowedAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	link := func(from, to string) {
		t.Helper()
		if err := os.Symlink(to, b.path(from+".new")); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
		if err := os.Rename(b.path(from+".new"), b.path(from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(b.path(version), 0o700); err != nil {
			t.Fatal(err)
		}
		b.write(version+"/key", version)
	}
	link("..data", "v1")
	link("key", filepath.Join("..data", "key"))
	v := b.value(b.text("key"))
	b.expect(v, "v1", "")
	link("..data", "v2")
	b.pass()
	b.expect(v, "v2", "changed key")
}

func TestFilesHaveALimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("most", strings.Repeat("x", MaxSize))
	b.write("over", strings.Repeat("x", MaxSize+1))
	if text, err := ReadFile(b.path("most")); err != nil || len(text) != MaxSize {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := ReadFile(b.path("over")); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file over the limit: expected an error about its size, seen %v", err)
	}
}

func TestFirstContentMustBeGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := New(b.now, b.notify, b.text("absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	b.write("a", "bad")
	if _, err := New(b.now, b.notify, b.text("a")); err == nil {
		t.Error("a bad file is taken")
	}
}

func TestManyReadersShareOneLook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("a", "0")
	made := 0 // the value's own lock protects it
	v := b.value(func(read Read) (string, error) {
		made++
		text, err := read(b.path("a"))
		return string(text), err
	})
	var wait sync.WaitGroup
	for i := range 20 {
		b.write("a", fmt.Sprint(i))
		b.pass()
		for range 20 {
			wait.Go(func() { _ = v.Get() })
		}
		wait.Wait()
	}
	if got := v.Get(); got != "19" {
		t.Errorf("expected the value 19, seen %q", got)
	}
	if made > 21 {
		t.Errorf("expected the value to be made 21 times at most, seen %d", made)
	}
}

func TestClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("a", "1")
	v := b.value(b.text("a"))
	b.write("a", "2")
	b.mu.Lock()
	b.clock = b.clock.Add(-time.Hour)
	b.mu.Unlock()
	b.expect(v, "2", "changed a")
}
