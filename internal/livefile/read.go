package livefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

// MaxSize is the most that a file may hold, in bytes, where nothing else is said.
const MaxSize = 1 << 20

// ErrNotRegular is returned for a directory, a named pipe, a device or a socket.
var ErrNotRegular = errors.New("is not a regular file")

// ReadFile returns what a regular file holds. It never waits for a writer, as
// reading a named pipe would.
func ReadFile(name string) ([]byte, error) { return ReadUpTo(name, MaxSize) }

// ReadUpTo is ReadFile with a limit of its own, in bytes.
func ReadUpTo(name string, limit int) ([]byte, error) {
	text, _, err := readUpTo(name, limit)
	return text, err
}

// readUpTo also reports whether anybody can write to the file.
func readUpTo(name string, limit int) (text []byte, loose bool, err error) {
	// Looked at first: opening a device can do something.
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
	if !info.Mode().IsRegular() { // it was swapped meanwhile
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
