//go:build unix

package livefile

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyRegularFilesAreRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fifo := b.path("fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip("no named pipes here: ", err)
	}
	b.write("a", "1")
	for _, name := range []string{fifo, b.folder, os.DevNull} {
		if _, err := ReadFile(name); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A pipe in place of the file must not block users of the value.
	v := b.value(b.text("a"))
	if err := os.Rename(fifo, b.path("a")); err != nil {
		t.Fatal(err)
	}
	b.pass()
	if got := v.Get(); got != "1" {
		t.Errorf("expected the value to stay 1, seen %q", got)
	}
	if got := b.reported(); !strings.Contains(got, "is not a regular file") {
		t.Errorf("expected a report about a file that is not regular, seen %q", got)
	}
}
