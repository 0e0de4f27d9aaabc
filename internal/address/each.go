package address

import (
	"net/url"
	"slices"
)

// HasOneReading reports whether the path of a request can be read in one way alone,
// as most can. original is its URL before any rewrite, current the one of now.
func HasOneReading(original, current *url.URL) bool {
	return original.Path == current.Path && original.RawPath == current.RawPath && current.RawPath == "" && Plain(current.Path)
}

// EachReading puts every reading of the path into both URLs of a request, one after
// the other, until visit returns false. The current path is the first reading, and
// visited last: what matchers leave behind for placeholders is of that. Afterwards the
// URLs are as before. It returns false if there are too many readings, and then visits
// none, or if one was not visited.
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
