package storage

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

func TestStoreOnFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	a, _ := newStore(t, &certmagic.FileStorage{Path: folder})
	b, _ := newStore(t, &certmagic.FileStorage{Path: folder})
	storetest.Run(t, func(*testing.T) storetest.Pair { return storetest.Pair{A: a, B: b} })
}

func TestStoreElsewhere(t *testing.T) {
	t.Parallel()
	d := newDisk()
	a, _ := newStore(t, d)
	b, _ := newStore(t, d)
	storetest.Run(t, func(*testing.T) storetest.Pair {
		return storetest.Pair{A: a, B: b, Shortest: 200 * time.Millisecond}
	})
}

func TestBusySessionCostsOneLookInTwoSeconds(t *testing.T) {
	for _, test := range []struct{ name, record string }{{"a record", "r"}, {"none", ""}} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				unswept(a, b)
				if test.record != "" {
					save(t, b, "k", test.record, time.Hour)
				}
				d.with(func(d *disk) { d.latency = 50 * time.Millisecond })
				before := d.loads.Load()
				for range 1000 { // ten seconds
					for range 10 {
						go func() {
							if got := load(t, a, "k"); got != test.record {
								t.Errorf("loaded %q", got)
							}
						}()
					}
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(time.Second)
				if looks := d.loads.Load() - before; looks < 4 || looks > 6 {
					t.Errorf("expected four to six looks in ten seconds, seen %d", looks)
				}
			})
		})
	}
}

func TestCutFileIsAbsent(t *testing.T) {
	t.Parallel()
	whole := seal([]byte("a record"), time.Now().Add(time.Hour))
	another := append([]byte(nil), whole...)
	another[len(kind)]++
	files := map[string][]byte{
		"of another version":   another,
		"with more at its end": append(whole[:len(whole):len(whole)], 0),
		"foreign":              []byte(strings.Repeat("something else ", 10)),
	}
	for n := range whole {
		files[fmt.Sprintf("cut to %d bytes", n)] = whole[:n]
		blank := append([]byte(nil), whole...)
		clear(blank[n:])
		files[fmt.Sprintf("blank from byte %d", n)] = blank
	}
	for name_, file := range files {
		t.Run(name_, func(t *testing.T) {
			inBubble(t, func(t *testing.T, d *disk, a, b *Storage) {
				d.files[path(name("k"))] = file
				if got := load(t, a, "k"); got != "" {
					t.Errorf("Load finds %q", got)
				}
				if got := reload(t, a, "k"); got != "" {
					t.Errorf("Reload finds %q", got)
				}
				if done, err := a.Replace(t.Context(), "k", []byte("a record"), []byte("new"), time.Now().Add(time.Hour)); err != nil || done {
					t.Errorf("Replace: %v, %v", done, err)
				}
				save(t, a, "k", "new", time.Hour)
				if got := reload(t, b, "k"); got != "new" {
					t.Errorf("after Save Reload finds %q", got)
				}
			})
		})
	}
}

func TestUnreadableFileIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s, logs := newStore(t, d)
		unswept(s) // or it would be gone
		d.files[path(name("k"))] = []byte("cut")
		for range 60 { // ten minutes
			_, _ = load(t, s, "k"), load(t, s, "absent")
			time.Sleep(10 * time.Second)
		}
		if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 10 {
			t.Errorf("expected ten lines in ten minutes, seen %d", n)
		}
	})
}

func TestConfigurationsFollowEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, d *disk, a, _ *Storage) {
		n, other := a.node, newDisk()
		next := &Storage{Timeout: a.Timeout / 5, logger: a.logger, storage: other}
		n.attach(next)
		save(t, a, "k", "r", time.Hour)
		if keys := other.keys(); len(keys) != 1 {
			t.Errorf("expected one file in the storage attached last, seen %q", keys)
		}
		if keys := d.keys(); len(keys) != 0 {
			t.Errorf("expected no files in the storage before, seen %q", keys)
		}
		other.with(func(d *disk) { d.latency = time.Hour })
		began := time.Now()
		if _, err := a.Reload(t.Context(), "k"); err == nil {
			t.Error("expected an error of the timeout, seen none")
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("expected the timeout attached last, a second, seen %v", took)
		}
		n.detach(a)
		n.detach(next) // its requests still end
		other.with(func(d *disk) { d.latency = 0 })
		if got := reload(t, a, "k"); got != "r" {
			t.Errorf("after the last configuration Reload finds %q", got)
		}
	})
}
