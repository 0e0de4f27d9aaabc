// Package cookie reads and writes the cookies that carry sealed values: it
// finds them in a request without parsing all others, joins and splits the
// chunks of a large one, and takes our own out of what the application sees.
// All it reads is hostile.
package cookie

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// MaxChunks is the most chunks that a value may be split into.
const MaxChunks = 4

// maxSame is how many cookies of one name are tried: a sibling domain or a
// longer path can plant cookies beside ours, and ours must still be found.
const maxSame = 4

// maxTries bounds how many combinations of chunks are tried.
const maxTries = 16

// ChunkSize is the size of a chunk's value in bytes. With the longest usual
// name and attributes a cookie stays under the 4,096 bytes that browsers take
// (RFC 6265bis 5.6), and a session of one chunk under the 4 KiB of header
// line beyond which reading a request costs twice.
const ChunkSize = 3800

// pairs calls yield with each name and value of Cookie headers until it
// returns false (RFC 6265 4.2.1). It allocates nothing.
func pairs(headers []string, yield func(name, value string) bool) {
	for _, line := range headers {
		for line != "" {
			var pair string
			pair, line = cut(line)
			name, value, found := strings.Cut(trim(pair), "=")
			// Space before = is not allowed, but common readers pass over it.
			if found && !yield(trimRight(name), value) {
				return
			}
		}
	}
}

// The optional white space of headers (RFC 9110 5.6.3); strings.Trim takes
// longer for it than all else that is done with a cookie.

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
	// Present says that a cookie of the name, or a chunk of it, was there.
	Present bool
	// Chunks has a bit set for each chunk index that was there.
	Chunks uint8

	counts [MaxChunks]uint8
	// The cookies in their order. Few requests bring more than two: room for all
	// would have to be cleared and copied for each request.
	first  [2]chunk
	others []chunk
}

type chunk struct {
	index int
	value string
}

// size is how many cookies there are, and at returns one of them.
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

// Find gathers the cookies of a name and its chunks from Cookie headers. What
// is beyond the bounds is not even counted.
func Find(headers []string, name string) (f Found) {
	for _, line := range headers {
		for line != "" {
			var pair string
			pair, line = cut(line)
			// Most cookies are of others: their values are not looked at.
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

// cut cuts a line after its first pair.
func cut(line string) (pair, rest string) {
	if i := strings.IndexByte(line, ';'); i >= 0 {
		return line[:i], line[i+1:]
	}
	return line, ""
}

// chunkIndex tells which chunk of name the cookie n is: name itself is the
// first, name_1 the second.
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

// ChunkName is the name of the cookie that carries a chunk.
func ChunkName(name string, index int) string {
	if index == 0 {
		return name
	}
	return name + "_" + strconv.Itoa(index)
}

// Try calls open with each value that the cookies can be joined to, the most
// likely first, until it returns true. The first chunk says how many there
// are; more than max are refused before anything is joined.
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

// Split cuts a value into the values of its chunks; the first one says how
// many there are. More than MaxChunks are not made: ok is false.
func Split(value string, max int) (chunks []string, ok bool) {
	count := (len(value) + ChunkSize) / ChunkSize // the count takes a byte of its own
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

// Named is a cookie that was found by the beginning of its name.
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

// Strip takes the cookies that are ours out of a request's header, so that
// they never reach the application, and appends them to taken, each like a line
// of its own. The others stay as they were sent. The lines that were there are
// not written to; buffer takes the new ones.
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

// stripLine returns a line without the cookies that are ours, be they without
// a value, which it appends to taken. What lies between two of them stays in one
// piece.
func stripLine(line string, taken []string, ours func(name string) bool) (rest string, all []string) {
	before := len(taken)
	var b strings.Builder
	piece := "" // of the line, before what was looked at last
	from := -1  // where it begins
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

// join adds a piece. The first one is only held, since most lines have no more.
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

// Unset takes cookies out of a response's header that were set in it.
func Unset(header http.Header, which func(name string) bool) {
	header["Set-Cookie"] = slices.DeleteFunc(header["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return which(name)
	})
	if len(header["Set-Cookie"]) == 0 {
		delete(header, "Set-Cookie")
	}
}

// Set puts a cookie into a response's header, in the place of one of the same
// name: a second Set-Cookie for a name is forbidden (RFC 6265bis 4.1.1).
func Set(header http.Header, c *http.Cookie) {
	text := c.String()
	if text == "" {
		return // a stranger's name that is none
	}
	for i, line := range header["Set-Cookie"] {
		if strings.HasPrefix(line, c.Name+"=") {
			header["Set-Cookie"][i] = text
			return
		}
	}
	header["Set-Cookie"] = append(header["Set-Cookie"], text)
}
