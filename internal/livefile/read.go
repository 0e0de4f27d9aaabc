package livefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

// MaxSize is the default limit for the size of a file, in bytes.
const MaxSize = 1 << 20

// ErrNotRegular is returned for a directory, a named pipe, a device or a socket.
var ErrNotRegular = errors.New("is not a regular file")

// ReadFile returns the content of a regular file of at most MaxSize bytes.
// Unlike os.ReadFile, it never blocks on a named pipe.
func ReadFile(name string) ([]byte, error) { return ReadUpTo(name, MaxSize) }

// ReadUpTo is like ReadFile, with the given limit in bytes.
func ReadUpTo(name string, limit int) ([]byte, error) {
	text, _, err := readUpTo(name, limit)
	return text, err
}

// readUpTo also reports whether every user can write to the file; false on
// Windows.
func readUpTo(name string, limit int) (text []byte, loose bool, err error) {
	// Check the type before opening, since opening a device can have side
	// effects.
	if info, err := os.Stat(name); err != nil {
		return nil, false, err
	} else if !info.Mode().IsRegular() {
		return nil, false, &os.PathError{Op: "read", Path: name, Err: ErrNotRegular}
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() { // it was replaced in the meantime
		return nil, false, &os.PathError{Op: "read", Path: name, Err: ErrNotRegular}
	}
	text, err = io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = &os.PathError{Op: "read", Path: name, Err: fmt.Errorf("holds more than %d bytes", limit)}
	}
	if err != nil {
		return nil, false, err
	}
	return text, runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0, nil
}
