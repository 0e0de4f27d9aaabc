package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// BenchmarkLoad measures loads of a busy session.
func BenchmarkLoad(b *testing.B) {
	s, _ := newStore(b, &certmagic.FileStorage{Path: b.TempDir()})
	save(b, s, "k", "a record", time.Hour)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Load(ctx, "k")
	}
}

// BenchmarkReload measures one read of a file.
func BenchmarkReload(b *testing.B) {
	s, _ := newStore(b, &certmagic.FileStorage{Path: b.TempDir()})
	save(b, s, "k", string(make([]byte, 750)), time.Hour)
	for b.Loop() {
		_ = reload(b, s, "k")
	}
}

// BenchmarkSave measures saves of new sessions, one after the other.
func BenchmarkSave(b *testing.B) {
	s, _ := newStore(b, &certmagic.FileStorage{Path: b.TempDir()})
	record := string(make([]byte, 750))
	for i := 0; b.Loop(); i++ {
		save(b, s, fmt.Sprint(i), record, time.Hour)
	}
}
