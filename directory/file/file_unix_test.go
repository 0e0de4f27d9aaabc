//go:build unix

package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestAFileThatEveryUserCanWriteToCausesAWarning(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, fileOf("alice"))
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	if _, err := open(path, time.Now, zap.New(core), time.Sleep); err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterMessageSnippet("every user of this machine can write").Len(); n != 1 {
		t.Errorf("expected one warning, seen %d", n)
	}
}
