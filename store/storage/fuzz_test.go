package storage

import (
	"bytes"
	"testing"
	"time"
)

// A file holds the record that it was made of, or none. This also holds if the storage
// truncated it or mixed two files.
func FuzzOpenFile(f *testing.F) {
	whole := seal([]byte("record"), time.UnixMilli(1_800_000_000_123))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	f.Add(append([]byte("oidcrp\x02"), whole[7:]...))
	f.Add(whole[:headerSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		got := open(file)
		if got.record == nil {
			if got.end != 0 {
				t.Errorf("%x: expected nothing, seen an end at %d", file, got.end)
			}
			return
		}
		if again := seal(got.record, time.UnixMilli(got.end)); !bytes.Equal(again, file) {
			t.Errorf("%x comes back as %x", file, again)
		}
		if end := endOf(file); end != got.end {
			t.Errorf("%x: expected one end, seen %d and %d", file, got.end, end)
		}
		if got.living(time.UnixMilli(got.end)) != nil {
			t.Errorf("%x: expected nothing at its end", file)
		}
	})
}
