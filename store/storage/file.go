package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"time"
)

const (
	// root is the folder of all records. Below it are 256 others.
	root = "oidc_rp/sessions"

	// A file begins with its kind and version, and with when it expires, which
	// all versions have in the same place; then come a checksum of the record
	// and its length, since not every storage replaces files in one step.
	kind       = "oidcrp"
	version    = 1
	endAt      = len(kind) + 1
	sumAt      = endAt + 8
	lengthAt   = sumAt + 4
	headerSize = lengthAt + 4
)

// name is that of a key's file, without its folder: it reveals nothing of the
// key, and suits every storage.
func name(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// folder is where the file of a name is.
func folder(name string) string { return root + "/" + name[:2] }

func path(name string) string { return folder(name) + "/" + name }

// lockOf is the storage's lock for a file. Some storages make file names of
// these, without any slash.
func lockOf(name string) string { return "oidc_rp_session_" + name }

// seal returns a file with a record.
func seal(record []byte, expires time.Time) []byte {
	file := make([]byte, headerSize, headerSize+len(record))
	copy(file, kind)
	file[len(kind)] = version
	binary.BigEndian.PutUint64(file[endAt:], uint64(expires.UnixMilli()))
	binary.BigEndian.PutUint32(file[sumAt:], crc32.ChecksumIEEE(record))
	binary.BigEndian.PutUint32(file[lengthAt:], uint32(len(record)))
	return append(file, record...)
}

// open returns the record in a file. A file that is cut short, empty, or of
// another version holds none.
func open(file []byte) found {
	if len(file) <= headerSize || !bytes.HasPrefix(file, []byte(kind)) || file[len(kind)] != version {
		return found{}
	}
	record := file[headerSize:]
	if binary.BigEndian.Uint32(file[lengthAt:]) != uint32(len(record)) || binary.BigEndian.Uint32(file[sumAt:]) != crc32.ChecksumIEEE(record) {
		return found{}
	}
	return found{record: record, end: int64(binary.BigEndian.Uint64(file[endAt:]))}
}

// endOf says when a file of any version expires; one that is none has done so
// long ago.
func endOf(file []byte) (end int64) {
	if len(file) <= headerSize || !bytes.HasPrefix(file, []byte(kind)) {
		return 0
	}
	return int64(binary.BigEndian.Uint64(file[endAt:]))
}

// found is what a look at a key found: a record and when it expires, in
// milliseconds since 1970, or nothing.
type found struct {
	record []byte
	end    int64
}

// living is the record, or nil.
func (f found) living(now time.Time) []byte {
	if f.end <= now.UnixMilli() {
		return nil
	}
	return f.record
}
