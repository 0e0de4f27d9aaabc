// Package cookie reads and writes cookies with sealed values. It finds them in a
// request without parsing all others, splits large values into chunks and joins them
// again, and removes our own cookies from the request that the application receives.
// All input is untrusted.
package cookie

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// MaxChunks is the maximum number of chunks of a value.
const MaxChunks = 4

// maxSame is how many cookies of one name are tried. Sibling domains and longer
// paths can plant cookies beside ours, which must still be found.
const maxSame = 4

// maxTries limits how many combinations of chunks are tried.
const maxTries = 16

// ChunkSize is the maximum size of a chunk's value in bytes. With a name and
// attributes of usual length, the cookie is below the 4,096 bytes that browsers
// accept (RFC 6265bis, section 5.6), and a session of one chunk is below 4 KiB of
// header line, beyond which reading a request costs twice as much.
const ChunkSize = 3800

// pairs calls yield with each name and value in Cookie headers (RFC 6265, section
// 4.2.1) until it returns false. It does not allocate.
func pairs(headers []string, yield func(name, value string) bool) {
	for _, line := range headers {
		for line != "" {
			var pair string
			pair, line = cut(line)
			name, value, found := strings.Cut(trim(pair), "=")
			// Space before = is not allowed, but common parsers ignore it.
			if found && !yield(trimRight(name), value) {
				return
			}
		}
	}
}

// trim, trimLeft and trimRight remove optional whitespace (RFC 9110, section
// 5.6.3). They are much faster than strings.Trim.

func trim(s string) string { return trimLeft(trimRight(s)) }

func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

func trimRight(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// Found holds the cookies of one name, with their chunks.
type Found struct {
	// Present reports whether there was a cookie of the name, or a chunk of it.
	Present bool
	// Chunks has a bit for each chunk index that was present.
	Chunks uint8

	counts [MaxChunks]uint8
	// The cookies in order. A larger array would have to be cleared and copied for
	// each request, but few requests have more than two.
	first  [2]chunk
	others []chunk
}

type chunk struct {
	index int
	value string
}

// size returns the number of cookies, and at returns one of them.
func (f *Found) size() (n int) {
	for _, count := range f.counts {
		n += int(count)
	}
	return n
}

func (f *Found) at(i int) chunk {
	if i < len(f.first) {
		return f.first[i]
	}
	return f.others[i-len(f.first)]
}

// Find returns the cookies of a name and its chunks in Cookie headers, up to the
// limits.
func Find(headers []string, name string) (f Found) {
	for _, line := range headers {
		for line != "" {
			var pair string
			pair, line = cut(line)
			// Do not look at the values of other cookies.
			if pair = trimLeft(pair); !strings.HasPrefix(pair, name) {
				continue
			}
			f.add(trimRight(pair), name)
		}
	}
	return f
}

func (f *Found) add(pair, name string) {
	n, value, found := strings.Cut(pair, "=")
	if !found {
		return
	}
	index, ok := chunkIndex(trimRight(n), name)
	if !ok {
		return
	}
	f.Present = true
	f.Chunks |= 1 << index
	if f.counts[index] >= maxSame || len(value) > ChunkSize {
		return
	}
	if n := f.size(); n < len(f.first) {
		f.first[n] = chunk{index, value}
	} else {
		f.others = append(f.others, chunk{index, value})
	}
	f.counts[index]++
}

// cut splits a line after its first pair.
func cut(line string) (pair, rest string) {
	if i := strings.IndexByte(line, ';'); i >= 0 {
		return line[:i], line[i+1:]
	}
	return line, ""
}

// chunkIndex returns the index of the chunk of name that the cookie n carries: name
// itself is 0, name_1 is 1.
func chunkIndex(n, name string) (int, bool) {
	if len(n) < len(name) || n[:len(name)] != name {
		return 0, false
	}
	switch rest := n[len(name):]; {
	case rest == "":
		return 0, true
	case len(rest) == 2 && rest[0] == '_' && rest[1] >= '1' && rest[1] < '0'+MaxChunks:
		return int(rest[1] - '0'), true
	}
	return 0, false
}

// ChunkName returns the name of the cookie for a chunk.
func ChunkName(name string, index int) string {
	if index == 0 {
		return name
	}
	return name + "_" + strconv.Itoa(index)
}

// Try calls open with each value that the cookies can be joined to, the most likely
// first, until open returns true. The first chunk begins with the number of chunks;
// values of more than max chunks are skipped.
func (f *Found) Try(max int, open func(value string) bool) bool {
	tries := 0
	for i := range f.size() {
		first := f.at(i)
		if first.index != 0 || first.value == "" {
			continue
		}
		count := int(first.value[0] - '0')
		if count < 1 || count > min(max, MaxChunks) {
			continue
		}
		if f.join(first.value[1:], 1, count, &tries, open) {
			return true
		}
	}
	return false
}

func (f *Found) join(joined string, index, count int, tries *int, open func(string) bool) bool {
	if index == count {
		*tries++
		return *tries <= maxTries && open(joined)
	}
	for i := range f.size() {
		c := f.at(i)
		if c.index != index {
			continue
		}
		if *tries >= maxTries {
			return false
		}
		if f.join(joined+c.value, index+1, count, tries, open) {
			return true
		}
	}
	return false
}

// Split splits a value into chunks. The first one begins with their number. ok is
// false if there would be more than max or MaxChunks.
func Split(value string, max int) (chunks []string, ok bool) {
	count := (len(value) + ChunkSize) / ChunkSize // one byte for the number of chunks
	if count > min(max, MaxChunks) {
		return nil, false
	}
	value = strconv.Itoa(count) + value
	for len(value) > ChunkSize {
		chunks = append(chunks, value[:ChunkSize])
		value = value[ChunkSize:]
	}
	return append(chunks, value), true
}

// Named is a cookie that was found by a prefix of its name.
type Named struct{ Name, Value string }

// WithPrefix returns the cookies whose names begin with prefix, at most max.
func WithPrefix(headers []string, prefix string, max int) []Named {
	var found []Named
	pairs(headers, func(name, value string) bool {
		if len(found) >= max {
			return false
		}
		if strings.HasPrefix(name, prefix) {
			found = append(found, Named{name, value})
		}
		return true
	})
	return found
}

// Strip removes our cookies from a request's header, so that they do not reach the
// application, and appends them to taken, each in the form of a header value. The
// others remain as they were sent. It does not modify the existing slice of values;
// buffer is used for the new ones.
func Strip(header http.Header, buffer, taken []string, ours func(name string) bool) []string {
	lines := header["Cookie"]
	kept := buffer[:0]
	changed := false
	for i, line := range lines {
		rest, before := "", len(taken)
		rest, taken = stripLine(line, taken, ours)
		stripped := len(taken) > before
		if stripped && !changed {
			changed = true
			kept = append(kept, lines[:i]...)
		}
		if changed && rest != "" {
			kept = append(kept, rest)
		}
	}
	switch {
	case !changed:
	case len(kept) == 0:
		delete(header, "Cookie")
	default:
		header["Cookie"] = kept
	}
	return taken
}

// stripLine returns a line without our cookies, with or without a value, and
// appends those to taken. Bytes between two of our cookies stay in one piece.
func stripLine(line string, taken []string, ours func(name string) bool) (rest string, all []string) {
	before := len(taken)
	var b strings.Builder
	piece := "" // the part of the line before the current position
	from := -1  // where that part begins
	for at := 0; at < len(line); {
		end := len(line)
		if i := strings.IndexByte(line[at:], ';'); i >= 0 {
			end = at + i
		}
		begin := end - len(trimLeft(line[at:end]))
		pair := trimRight(line[begin:end])
		at = end + 1
		if name := nameOf(pair); name != "" && ours(name) {
			taken = append(taken, pair)
			if from >= 0 {
				join(&b, &rest, piece)
			}
			piece, from = "", -1
			continue
		}
		if pair == "" {
			continue
		}
		if from < 0 {
			from = begin
		}
		piece = line[from : begin+len(pair)]
	}
	if len(taken) == before {
		return line, taken
	}
	if from >= 0 {
		join(&b, &rest, piece)
	}
	if b.Len() > 0 {
		rest = b.String()
	}
	return rest, taken
}

// join adds a piece to the result. A single piece is kept as it is, since most
// lines need no more.
func join(b *strings.Builder, first *string, piece string) {
	if *first == "" {
		*first = piece
		return
	}
	if b.Len() == 0 {
		b.Grow(len(*first) + len(piece) + 2)
		b.WriteString(*first)
	}
	b.WriteString("; ")
	b.WriteString(piece)
}

func nameOf(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return trimRight(name)
}

// Unset removes Set-Cookie lines from a response's header, by the names of their
// cookies.
func Unset(header http.Header, which func(name string) bool) {
	header["Set-Cookie"] = slices.DeleteFunc(header["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return which(name)
	})
	if len(header["Set-Cookie"]) == 0 {
		delete(header, "Set-Cookie")
	}
}

// Set sets a cookie in a response's header and replaces one of the same name,
// because two Set-Cookie lines with one name are not allowed (RFC 6265bis, section
// 4.1.1).
func Set(header http.Header, c *http.Cookie) {
	text := c.String()
	if text == "" {
		return // the name, which a client may have sent, is not valid
	}
	for i, line := range header["Set-Cookie"] {
		if strings.HasPrefix(line, c.Name+"=") {
			header["Set-Cookie"][i] = text
			return
		}
	}
	header["Set-Cookie"] = append(header["Set-Cookie"], text)
}
