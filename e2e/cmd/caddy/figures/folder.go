package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// measureFolder prints what logouts cost if nodes share a folder. A logout from a session
// in a cookie writes an event, and all nodes read the events every two seconds.
func measureFolder(ctx context.Context, folder string, number int) error {
	storage := &certmagic.FileStorage{Path: folder}
	on := func() clusterstore.Storage { return storage }
	writer, reader := revocation.NewLog(on, time.Now), revocation.NewLog(on, time.Now)
	end := func(i int) error {
		now := time.Now()
		return writer.Add(ctx, revocation.ForSession(session.NewID(), now, now.Add(12*time.Hour)))
	}
	poll := func(what string, times int) error {
		begun, cpu := time.Now(), spent()
		for range times {
			if err := reader.Poll(ctx); err != nil {
				return err
			}
		}
		tell(what, "%.0f µs CPU, %.0f µs", float64((spent()-cpu).Microseconds())/float64(times), float64(time.Since(begun).Microseconds())/float64(times))
		return nil
	}
	if err := poll("a look at logouts, there being none", 500); err != nil {
		return err
	}
	for _, one := range []struct {
		what string
		n    int
		all  func(n int, do func(int) error) error
	}{
		{"a logout, one after the other", 200, func(n int, do func(int) error) error {
			for i := range n {
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		}},
		{"a logout, 64 at once", number, each},
	} {
		before, err := sizeOf(folder)
		if err != nil {
			return err
		}
		begun, cpu := time.Now(), spent()
		if err := one.all(one.n, end); err != nil {
			return err
		}
		took, used := time.Since(begun), spent()-cpu
		after, err := sizeOf(folder)
		if err != nil {
			return err
		}
		tell(one.what, "%.1f bytes, %.0f µs CPU, %.0f µs", float64(after-before)/float64(one.n),
			float64(used.Microseconds())/float64(one.n), float64(took.Microseconds())/float64(one.n))
		memory := heap()
		if err := poll("the look that reads these", 1); err != nil {
			return err
		}
		if one.n >= 1000 { // with fewer, other allocations dominate
			tell("what a node remembers of each", "%.0f bytes", float64(heap()-memory)/float64(one.n))
		}
	}
	err := poll(fmt.Sprintf("a look with %d logouts of this minute", number+200), 500)
	runtime.KeepAlive(reader)
	return err
}

// heap returns the bytes in use after a garbage collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// sizeOf returns the total size of all files below a folder.
func sizeOf(folder string) (bytes int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}
