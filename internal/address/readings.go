package address

import (
	"net/url"
	"slices"
	"strings"
)

// MaxReadings is how many readings of one request are considered. Legitimate paths
// have at most a dozen.
const MaxReadings = 64

// MaxPath is the longest path that is read in more than one way.
const MaxPath = 8 << 10

// maxText limits the total length of the readings of one request, and so the time
// for finding them: a long path may have fewer than MaxReadings.
const maxText = 8 * MaxPath

// Path is the path of a request: Path is decoded once, RawPath as it was sent,
// as in url.URL. RawPath may be empty where it is the usual encoding of Path.
type Path struct{ Path, RawPath string }

// Reading is one meaning of a path, to be put into url.URL's fields of the same
// names. RawPath is empty unless the reading is one of the paths given.
type Reading struct{ Path, RawPath string }

// Readings appends to dst every distinct way in which a server or an
// application may read a path, given as the client sent it and as it is now
// after rewrites. A route decides about a path that was decoded once and
// cleaned, but the application gets the bytes as they were sent, and does with
// them what it likes: a request may be called public only if all its readings
// are (see TestReadingsFindWhatTheApplicationSees for who reads how).
//
// The readings are all that come from the two paths, as sent and decoded, by
// any sequence of the views: cleaned, with dot segments removed or taken for
// names, decoded again, with backslashes as slashes, without path parameters,
// cut at a special character, without control characters, without dots and
// spaces at the ends of names. The current path is the first of them, and its
// cleaned form always one.
//
// «As sent» leaves those escapes alone that some server gives a meaning to, or
// that no client has a reason to write. Escapes without which honest clients
// cannot send a name, like those of non-ASCII letters and inner spaces, are the
// character that they stand for (RFC 3986 §2.5); so "/caf%C3%A9" has one
// reading, and a route "/café" can be public.
//
// If ok is false there are more readings than MaxReadings, or the path is longer
// than MaxPath, or too long to have so many readings: not all are in the list,
// and the request must count as private. Case is not varied: Caddy's path
// matcher ignores it, and a regular expression means what it says.
func Readings(dst []Reading, original, current Path) (readings []Reading, ok bool) {
	if current.plain() && original.plain() {
		dst = append(dst, Reading{Path: current.Path})
		if original.Path != current.Path {
			dst = append(dst, Reading{Path: original.Path})
		}
		return dst, true
	}
	if max(len(current.Path), len(current.RawPath), len(original.Path), len(original.RawPath)) > MaxPath {
		return append(dst, Reading{Path: cleaned(rooted(current.Path))}), false
	}
	s := readingSet{list: dst, from: len(dst)}
	s.addPath(current)
	s.addText(cleaned(rooted(current.Path)))
	s.addPath(original)
	for i := s.from; i < len(s.list) && !s.full; i++ {
		for _, view := range views {
			s.addText(view(s.list[i].Path))
		}
	}
	return s.list, !s.full
}

// plain reports whether a path evidently has only one reading.
func (p Path) plain() bool {
	return (p.RawPath == "" || p.RawPath == p.Path) && Plain(p.Path)
}

// Plain reports whether all software reads p, decoded or not, in one and the same
// way: it begins with "/", no slash follows another, no name ends with a dot,
// and all bytes are letters, digits or others without a meaning in paths. It
// does not allocate, and nearly every request is decided by it.
func Plain(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	last := byte('/')
	for i := 1; i < len(p); i++ {
		c := p[i]
		if !plainBytes[c] || c == '/' && (last == '/' || last == '.') {
			return false
		}
		last = c
	}
	return last != '.'
}

// plainBytes are the characters of an RFC 3986 path without "%" and ";".
var plainBytes = func() (set [256]bool) {
	for c := range set {
		set[c] = isAlphanumeric(byte(c)) || strings.IndexByte("/-_.~!$&'()*+,:=@", byte(c)) >= 0 && c != 0
	}
	return set
}()

// readingSet collects distinct readings, from an index of the list on, until it
// is full.
type readingSet struct {
	list []Reading
	from int
	text int // bytes
	full bool
}

// addPath adds the paths themselves: the decoded one that matchers see, and the one
// that was sent.
func (s *readingSet) addPath(p Path) {
	u := url.URL{Path: p.Path, RawPath: p.RawPath}
	sent := u.EscapedPath()
	usual := url.URL{Path: p.Path}
	if p.Path != "" {
		r := Reading{Path: p.Path}
		if sent != usual.EscapedPath() {
			r.RawPath = sent
		}
		s.add(r)
	}
	s.addText(p.Path)
	s.addText(asSent(sent))
	if p.RawPath != "" && p.RawPath != sent { // not an encoding of Path, so consider both
		s.addText(asSent(p.RawPath))
	}
}

// addText adds a reading without RawPath.
func (s *readingSet) addText(text string) {
	text = rooted(text)
	for _, r := range s.list[s.from:] {
		if r.Path == text {
			return
		}
	}
	s.add(Reading{Path: text})
}

func (s *readingSet) add(r Reading) {
	switch {
	case slices.Contains(s.list[s.from:], r):
	case len(s.list)-s.from >= MaxReadings || s.text+len(r.Path) > maxText:
		s.full = true
	default:
		s.list = append(s.list, r)
		s.text += len(r.Path)
	}
}
