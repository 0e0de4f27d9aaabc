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
	// root is the folder of all records. It has 256 subfolders.
	root = "oidc_rp/sessions"

	// A file begins with its kind, version and expiry, which are at the same
	// position in all versions. A checksum and the length of the record follow,
	// since not every storage replaces files atomically.
	kind       = "oidcrp"
	version    = 1
	endAt      = len(kind) + 1
	sumAt      = endAt + 8
	lengthAt   = sumAt + 4
	headerSize = lengthAt + 4
)

// name returns the file name for a key, without its folder. It reveals nothing
// about the key, and is valid in every storage.
func name(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// folder returns the folder of a file name.
func folder(name string) string { return root + "/" + name[:2] }

func path(name string) string { return folder(name) + "/" + name }

// lockOf returns the name of the storage's lock for a file. It has no slash,
// because some storages use it as a file name.
func lockOf(name string) string { return "oidc_rp_session_" + name }

// seal returns the content of a file for a record.
func seal(record []byte, expires time.Time) []byte {
	file := make([]byte, headerSize, headerSize+len(record))
	copy(file, kind)
	file[len(kind)] = version
	binary.BigEndian.PutUint64(file[endAt:], uint64(expires.UnixMilli()))
	binary.BigEndian.PutUint32(file[sumAt:], crc32.ChecksumIEEE(record))
	binary.BigEndian.PutUint32(file[lengthAt:], uint32(len(record)))
	return append(file, record...)
}

// open returns the record in a file. Files that are truncated, empty, or of another
// version have none.
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

// endOf returns when a file of any version expires; zero if it is not valid.
func endOf(file []byte) (end int64) {
	if len(file) <= headerSize || !bytes.HasPrefix(file, []byte(kind)) {
		return 0
	}
	return int64(binary.BigEndian.Uint64(file[endAt:]))
}

// found is the result of a read: a record and its expiry in Unix milliseconds, or
// nothing.
type found struct {
	record []byte
	end    int64
}

// living returns the record, or nil if it has expired.
func (f found) living(now time.Time) []byte {
	if f.end <= now.UnixMilli() {
		return nil
	}
	return f.record
}
