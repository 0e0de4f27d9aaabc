package accesskey

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// bench is a file of keys with a clock and a log of its test.
type bench struct {
	t    *testing.T
	path string
	keys *Keys

	mu  sync.Mutex
	at  time.Time
	log bytes.Buffer
}

func newBench(t *testing.T, lines ...string) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "keys"), at: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	b.write(lines...)
	var err error
	if b.keys, err = Open(b.path, b.now, slog.New(slog.NewTextHandler(&b.log, nil))); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// pass advances the clock.
func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

func (b *bench) write(lines ...string) {
	b.t.Helper()
	if err := os.WriteFile(b.path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// expect checks that a key is accepted, or refused for the reason.
func (b *bench) expect(key, reason string) *session.Session {
	b.t.Helper()
	l, err := b.keys.Verify(b.t.Context(), key)
	if reason == "" {
		if err != nil {
			b.t.Errorf("expected a key, seen the error %v", err)
			return new(session.Session)
		}
		return &l.Session
	}
	var refused *program.Refusal
	if !errors.As(err, &refused) {
		b.t.Errorf("expected a refusal because %s, seen %v", reason, err)
		return nil
	}
	if !strings.Contains(refused.Reason, reason) {
		b.t.Errorf("expected a refusal because %s, seen because %s", reason, refused.Reason)
	}
	return refused.Session
}

// made creates a key and its line.
func made(t *testing.T, name string, fields ...string) (key, line string) {
	t.Helper()
	key, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	hash := HashOf(key)
	return key, strings.Join(append([]string{name, hex.EncodeToString(hash[:])}, fields...), ":")
}

func TestKeysCount(t *testing.T) {
	t.Parallel()
	ci, ciLine := made(t, "ci", "deploy,ops")
	timed, timedLine := made(t, "timed", "", "2030-01-01T00:01:00Z")
	renamed, renamedLine := made(t, "before")
	unlisted, _ := made(t, "ci")
	b := newBench(t, ciLine, timedLine, strings.Replace(renamedLine, "before", "after", 1))
	s := b.expect(ci, "")
	if seen := s.Kind.String(); seen != "key" {
		t.Errorf("expected the kind key, seen %s", seen)
	}
	if s.Username != "ci" || s.Subject != "ci" {
		t.Errorf("expected the name ci, seen %q and %q", s.Username, s.Subject)
	}
	if groups, _ := s.Claims.Get(GroupsClaim); groups.Text() != "deploy,ops" {
		t.Errorf("expected the groups deploy and ops, seen %q", groups.Text())
	}
	if again := b.expect(ci, ""); again != s {
		t.Error("expected the same session for each request")
	}
	if s := b.expect(timed, ""); !s.Expires.Equal(b.now().Add(time.Minute)) {
		t.Errorf("expected the end of the key, seen %v", s.Expires)
	}
	b.expect(unlisted, "no line has")
	b.expect(renamed, "another name")
	b.expect(ci[:len(ci)-1], "form")
	b.expect(ci[:len(ci)-1]+"x", "checksum")
	b.expect("", "form")
	hash := HashOf(ci)
	b.expect(hex.EncodeToString(hash[:]), "form")
	b.pass(time.Minute - time.Nanosecond)
	b.expect(timed, "")
	b.pass(time.Nanosecond)
	if s := b.expect(timed, "expired"); s == nil || s.Username != "timed" {
		t.Errorf("expected the log to know whose key has expired, seen %v", s)
	}
}

// A deleted key is refused as soon as the file is read, even if another line of the
// file is wrong.
func TestAChangedFileCounts(t *testing.T) {
	t.Parallel()
	old, oldLine := made(t, "ci")
	young, youngLine := made(t, "ci")
	b := newBench(t, oldLine)
	b.expect(old, "")
	b.write(oldLine, youngLine)
	b.pass(3 * time.Second)
	b.expect(old, "") // both count during a rotation
	b.expect(young, "")
	b.write("a typo", youngLine)
	b.pass(3 * time.Second)
	b.expect(old, "no line has")
	b.expect(young, "")
	if log := b.log.String(); !strings.Contains(log, "line=1") {
		t.Errorf("expected the number of the bad line in the log, seen %s", log)
	}
	b.write()
	b.pass(3 * time.Second)
	b.expect(young, "no line has")
}

func TestAnUnreadableFileCountsForAnHour(t *testing.T) {
	t.Parallel()
	key, line := made(t, "ci")
	b := newBench(t, line)
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.pass(3 * time.Second)
	b.expect(key, "")
	b.pass(time.Hour - time.Nanosecond)
	b.expect(key, "")
	b.pass(time.Nanosecond)
	b.expect(key, "no line has")
	b.expect(key, "no line has")
	if seen := strings.Count(b.log.String(), "for an hour; no key in it is accepted"); seen != 1 {
		t.Errorf("expected one line about the end of the hour, seen %d:\n%s", seen, b.log.String())
	}
	b.write(line)
	b.pass(3 * time.Second)
	b.expect(key, "")
}

func TestOpenNeedsAFile(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	for name, path := range map[string]string{"nothing": filepath.Join(t.TempDir(), "none"), "a folder": t.TempDir(), "a device": os.DevNull} {
		if _, err := Open(path, time.Now, logger); err == nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}

// The log never contains a secret or a line of the file.
func TestLogsRepeatNothing(t *testing.T) {
	t.Parallel()
	key, line := made(t, "ci")
	b := newBench(t, line, key, "ci:"+key, line+":,", "x:"+key+":a")
	for i := range 2 * loggedLines {
		b.write(line, strings.Repeat(key+"\n", i))
		b.pass(3 * time.Second)
		b.expect(key, "")
	}
	if log := b.log.String(); strings.Contains(log, key[7:20]) {
		t.Errorf("expected nothing of the key in the log, seen %s", log)
	}
	if log := b.log.String(); !strings.Contains(log, "more lines") {
		t.Errorf("expected bad lines to be summed up, seen %s", log)
	}
}

// All of ten thousand keys count. A changed file counts as a whole, and is read once.
func TestTenThousandKeysCount(t *testing.T) {
	t.Parallel()
	const count = 10_000
	keys, lines := make([]string, count), make([]string, count)
	for i := range count {
		keys[i], lines[i] = made(t, fmt.Sprintf("program-%d", i), "deploy,readers", "2031-01-01T00:00:00Z")
	}
	b := newBench(t, lines...)
	for i, key := range keys {
		if s := b.expect(key, ""); s.Username != fmt.Sprintf("program-%d", i) {
			t.Fatalf("expected program-%d, seen %q", i, s.Username)
		}
	}
	b.write(lines[1:]...)
	b.pass(3 * time.Second)
	b.expect(keys[0], "no line has")
	for _, key := range keys[1:] {
		b.expect(key, "")
	}
	if seen := strings.Count(b.log.String(), "access_keys_reloaded"); seen != 1 {
		t.Errorf("expected the changed file to be read once, seen %d times", seen)
	}
}

func BenchmarkVerify(b *testing.B) {
	key, err := New("ci")
	if err != nil {
		b.Fatal(err)
	}
	hash := HashOf(key)
	path := filepath.Join(b.TempDir(), "keys")
	if err := os.WriteFile(path, fmt.Appendf(nil, "ci:%x:deploy\n", hash[:]), 0o600); err != nil {
		b.Fatal(err)
	}
	keys, err := Open(path, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Verify(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLook measures the check of an unchanged file of 10,000 keys, which one
// request does every two seconds.
func BenchmarkLook(b *testing.B) {
	var lines strings.Builder
	for i := range 10_000 {
		hash := HashOf(fmt.Sprint(i))
		fmt.Fprintf(&lines, "program-%d:%x:deploy,readers:2031-01-01T00:00:00Z\n", i, hash[:])
	}
	path := filepath.Join(b.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	at := time.Now()
	keys, err := Open(path, func() time.Time { return at }, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		at = at.Add(livefile.Every)
		if found := keys.keys(); len(found) != 10_000 {
			b.Fatalf("expected all keys, seen %d", len(found))
		}
	}
}
