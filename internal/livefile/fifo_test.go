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
	// A pipe in the place of a file must not stop who uses the value.
	v := b.value(b.text("a"))
	if err := os.Rename(fifo, b.path("a")); err != nil {
		t.Fatal(err)
	}
	b.pass()
	if got := v.Get(); got != "1" || !strings.Contains(b.told(), "is not a regular file") {
		t.Errorf("the value is %q", got)
	}
}
