package address

import (
	"net/url"
	"slices"
)

// HasOneReading reports whether the path of a request has only one reading, as most
// do. original is its URL before any rewrite, current the present one.
func HasOneReading(original, current *url.URL) bool {
	return original.Path == current.Path && original.RawPath == current.RawPath && current.RawPath == "" && Plain(current.Path)
}

// EachReading sets both URLs of a request to each reading of the path in turn,
// until visit returns false, and then restores them. The current path is visited
// last, so that what matchers set for placeholders is from it. It returns false if
// a reading was not visited; if there are too many, it visits none.
func EachReading(original, current *url.URL, visit func() bool) bool {
	var buffer [8]Reading
	readings, complete := Readings(buffer[:0],
		Path{Path: original.Path, RawPath: original.EscapedPath()},
		Path{Path: current.Path, RawPath: current.EscapedPath()})
	if !complete {
		return false
	}
	now, sent := *current, *original
	defer func() {
		original.Path, original.RawPath = sent.Path, sent.RawPath
		current.Path, current.RawPath = now.Path, now.RawPath
	}()
	for _, reading := range slices.Backward(readings) {
		original.Path, original.RawPath = reading.Path, reading.RawPath
		current.Path, current.RawPath = reading.Path, reading.RawPath
		if !visit() {
			return false
		}
	}
	return true
}
