//go:build unix

package livefile

import (
	"os"
	"testing"
)

func TestFileThatEveryUserCanWriteToIsReportedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("a", "1")
	if err := os.Chmod(b.path("a"), 0o666); err != nil {
		t.Fatal(err)
	}
	v := b.value(b.text("a"))
	b.expect(v, "1", "writable a")
	b.write("a", "2")
	b.pass()
	b.expect(v, "2", "changed a")
}
