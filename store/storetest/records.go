package storetest

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func absent(t testing.TB, p Pair) {
	key, other := newKey(), newKey()
	for name, s := range p.nodes() {
		for range 2 { // absence may be remembered
			sees(t, "Load on node "+name, s.Load, []string{key, other}, nothing, nothing)
			sees(t, "Reload on node "+name, s.Reload, []string{key, other}, nothing, nothing)
		}
		found(t, "Load", s.Load)
		found(t, "Reload", s.Reload)
	}
}

func order(t testing.TB, p Pair) {
	var keys, want []string
	for i := range 40 {
		keys, want = append(keys, newKey()), append(want, nothing)
		if i%3 != 0 {
			want[i] = strings.Repeat("r", i+1)
			save(t, p.A, keys[i], want[i], hour)
		}
	}
	rand.Shuffle(len(keys), func(i, j int) {
		keys[i], keys[j] = keys[j], keys[i]
		want[i], want[j] = want[j], want[i]
	})
	keys, want = append(keys, keys[0], keys[1]), append(want, want[0], want[1]) // once more
	for name, s := range p.nodes() {
		sees(t, "Load on node "+name, s.Load, keys, want...)
		sees(t, "Reload on node "+name, s.Reload, keys, want...)
	}
}

func keys(t testing.TB, p Pair) {
	root := newKey()
	keys := []string{
		root + "/a-b/c", root + "/a/b-c", root + "/a-b-c", root + "/ab/c", root + "/abc", root + "/a/b/c",
		root + "/0", root + "/00", root + "/-", root + "/--", root + "/a/" + "b/d/e/f/g/h",
		root + "/locks", root + "/abcdefghijklmnopqrstuvwxyz-0123456789",
		root[len("storetest/"):], // no folder
		root + "/" + strings.Repeat("k", 100-len(root)-1),
	}
	var want []string
	for _, key := range keys {
		want = append(want, "the record of "+key)
		save(t, p.A, key, "the record of "+key, hour)
	}
	sees(t, "Load", p.A.Load, keys, want...)
	sees(t, "Reload on the other node", p.B.Reload, keys, want...)
	remove(t, p.B, keys[0], keys[len(keys)-1])
	want[0], want[len(want)-1] = nothing, nothing
	sees(t, "Reload after Delete", p.A.Reload, keys, want...)
}

func binary(t testing.TB, p Pair) {
	large := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(large)
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	for _, record := range []string{
		"\x00", "\n", "0", " ", "\xff", "null", "\r\n\r\n", "\x00tail", "tail\x00", "tail\n",
		string(all[:]), string(large), string(large[:1<<20-1]), strings.Repeat("\x00", 4096),
	} {
		key := newKey()
		save(t, p.A, key, record, hour)
		p.seenBy(t, key, record)
		if !replace(t, p.B, key, record, record+"x"[:min(1, 1<<20-len(record))], hour) {
			t.Errorf("Replace does not know a record of %d bytes again", len(record))
		}
	}
}

func overwrite(t testing.TB, p Pair) {
	key := newKey()
	for _, record := range []string{"one", "a longer one", "1", "another"} {
		save(t, p.A, key, record, hour)
		p.seenBy(t, key, record)
	}
	save(t, p.B, key, "by the other node", hour)
	sees(t, "Reload", p.A.Reload, []string{key}, "by the other node")
}

func deletion(t testing.TB, p Pair) {
	gone, never, also, kept := newKey(), newKey(), newKey(), newKey()
	for _, key := range []string{gone, also, kept} {
		save(t, p.A, key, "a record", hour)
	}
	sees(t, "Load", p.A.Load, []string{gone, also}, "a record", "a record")
	remove(t, p.A, gone, never, also)
	for _, key := range []string{gone, never, also} {
		p.seenBy(t, key, nothing)
	}
	p.seenBy(t, kept, "a record")
	remove(t, p.A, gone, never) // again
	remove(t, p.A)
	save(t, p.A, gone, "again", hour)
	p.seenBy(t, gone, "again")
}

func aliasing(t testing.TB, p Pair) {
	key, buffer := newKey(), []byte("first ")
	spoil := func() { copy(buffer, "spoilt") }
	within(t, "Save", func(ctx context.Context) {
		if err := p.A.Save(ctx, key, buffer, time.Now().Add(hour)); err != nil {
			t.Errorf("Save: %v", err)
		}
	})
	spoil()
	p.seenBy(t, key, "first ")
	copy(buffer, "second")
	within(t, "Replace", func(ctx context.Context) {
		if done, err := p.A.Replace(ctx, key, []byte("first "), buffer, time.Now().Add(hour)); err != nil || !done {
			t.Errorf("Replace: %v, %v", done, err)
		}
	})
	spoil()
	p.seenBy(t, key, "second")

	// What was loaded is not changed by a later save.
	before := found(t, "Load", p.A.Load, key)[0]
	save(t, p.A, key, "third ", hour)
	if string(before) != "second" {
		t.Errorf("a record that was loaded has become %q", before)
	}
}
