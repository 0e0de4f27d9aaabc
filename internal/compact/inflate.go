package compact

import (
	"encoding/binary"
	"math/bits"
)

// This file decompresses DEFLATE (RFC 1951) from memory to memory. The decoders of
// the libraries read streams: they hand on a byte at a time and copy the
// dictionary each time, which takes three times as long for a few hundred bytes.

const (
	maxCode   = 15 // bits of the longest code (3.2.7)
	tableBits = 10 // codes up to this length are looked up at once
	inPadding = 8  // zeros after the input, so that it is read eight bytes at a time
)

// huffman decodes the codes of one alphabet.
type huffman struct {
	// table has for each of the next bits, as many as mask has, the symbol and, in
	// the lowest four bits, the length of its code; 0 if that is longer or unused.
	table [1 << tableBits]uint16
	mask  uint64
	// count and symbols are the canonical code (3.2.2), for longer ones.
	count   [maxCode + 1]uint16
	symbols [288]uint16
}

// init makes the code of the lengths of its symbols. It reports false if there are
// more codes than fit, or fewer: only one code of one bit, or none, may be alone.
func (h *huffman) init(lengths []byte) bool {
	h.count = [maxCode + 1]uint16{}
	for _, length := range lengths {
		h.count[length&maxCode]++
	}
	h.count[0] = 0
	var first [maxCode + 1]uint16 // the index of the first symbol
	left, longest := 1, 0
	for length := 1; length <= maxCode; length++ {
		if left = left<<1 - int(h.count[length]); left < 0 {
			return false
		}
		if h.count[length] > 0 {
			longest = length
		}
		first[length] = first[length-1] + h.count[length-1]
	}
	if left > 0 && longest > 0 && (longest > 1 || h.count[1] != 1) {
		return false
	}
	for symbol, length := range lengths {
		if length != 0 {
			h.symbols[first[length&maxCode]] = uint16(symbol)
			first[length&maxCode]++
		}
	}
	// The table of one more bit is that of the bits before it twice, and its codes.
	h.table[0] = 0
	size, code, index := 1, uint16(0), 0
	for length := 1; length <= min(longest, tableBits); length++ {
		copy(h.table[size:], h.table[:size])
		size *= 2
		code <<= 1
		for _, symbol := range h.symbols[index : index+int(h.count[length])] {
			h.table[bits.Reverse16(code)>>(16-length)] = symbol<<4 | uint16(length)
			code++
		}
		index += int(h.count[length])
	}
	h.mask = uint64(size - 1)
	return true
}

// find returns the symbol and the length of the code that the bits begin with;
// the length is 0 if no code does.
func (h *huffman) find(next uint64) (symbol, length uint) {
	if entry := h.table[next&h.mask&(1<<tableBits-1)]; entry != 0 {
		return uint(entry >> 4), uint(entry & 15)
	}
	code, first, index := 0, 0, 0
	for length := 1; length <= maxCode; length++ {
		code |= int(next & 1)
		next >>= 1
		count := int(h.count[length])
		if code-first < count {
			return uint(h.symbols[index+code-first]), uint(length)
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0
}

// The code of fixed blocks (3.2.6).
var fixedLiterals, fixedDistances = func() (literals, distances huffman) {
	var lengths [288]byte
	for symbol := range lengths {
		switch {
		case symbol < 144, symbol >= 280:
			lengths[symbol] = 8
		case symbol < 256:
			lengths[symbol] = 9
		default:
			lengths[symbol] = 7
		}
	}
	literals.init(lengths[:])
	for symbol := range 32 {
		lengths[symbol] = 5
	}
	distances.init(lengths[:32])
	return literals, distances
}()

// The lengths of matches and their distances by symbol (3.2.5).
var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	farBase     = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	farExtra    = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	codeOrder   = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// inflater decompresses what was compressed with one dictionary.
type inflater struct {
	in  []byte // with zeros after it
	at  int    // the byte of the input to read next
	bit uint64 // bits that were read and not used
	has uint   // how many

	// out is the dictionary, which stays, and then the text, up to end.
	out        []byte
	dictionary int
	end        int

	literals, distances huffman
}

func newInflater(dictionary []byte) *inflater {
	f := &inflater{out: make([]byte, len(dictionary)+MaxSize), dictionary: len(dictionary)}
	copy(f.out, dictionary)
	return f
}

// inflate returns the text, which is good until the next call. It reports false
// for what is malformed, is followed by more, or makes more than MaxSize bytes.
func (f *inflater) inflate(deflated string) (text []byte, ok bool) {
	f.in = append(append(f.in[:0], deflated...), make([]byte, inPadding)...)
	f.at, f.bit, f.has, f.end = 0, 0, 0, f.dictionary
	for {
		f.refill()
		last, kind := f.take(1) == 1, f.take(2)
		switch kind {
		case 0:
			ok = f.stored()
		case 1:
			ok = f.block(&fixedLiterals, &fixedDistances)
		case 2:
			ok = f.codes() && f.block(&f.literals, &f.distances)
		default:
			ok = false
		}
		if !ok || f.isPast() {
			return nil, false
		}
		if last {
			break
		}
	}
	if f.at-int(f.has/8) != len(deflated) {
		return nil, false
	}
	return f.out[f.dictionary:f.end], true
}

// refill makes at least 56 bits available. Beyond the end they are zeros.
func (f *inflater) refill() {
	if f.at <= len(f.in)-inPadding {
		f.bit |= binary.LittleEndian.Uint64(f.in[f.at:]) << f.has
	}
	f.at += int(63-f.has) / 8
	f.has |= 56
}

// take returns the next bits, of those that refill made available.
func (f *inflater) take(count uint) uint {
	taken := uint(f.bit) & (1<<count - 1)
	f.bit >>= count
	f.has -= count
	return taken
}

// isPast reports whether more was read than there is.
func (f *inflater) isPast() bool { return f.at-int(f.has/8) > len(f.in)-inPadding }

// stored copies a block that is not compressed (3.2.4).
func (f *inflater) stored() bool {
	f.take(f.has % 8)
	f.refill()
	size, complement := f.take(16), f.take(16)
	from := f.at - int(f.has/8)
	if size^complement != 0xffff || from+int(size) > len(f.in)-inPadding || f.end+int(size) > len(f.out) {
		return false
	}
	f.end += copy(f.out[f.end:], f.in[from:from+int(size)])
	f.at, f.bit, f.has = from+int(size), 0, 0
	return true
}

// codes reads the codes of a block that brings its own (3.2.7).
func (f *inflater) codes() bool {
	literals, distances, count := int(f.take(5))+257, int(f.take(5))+1, int(f.take(4))+4
	if literals > 286 || distances > 30 {
		return false
	}
	var lengths [286 + 30]byte
	for _, symbol := range codeOrder[:count] {
		f.refill()
		lengths[symbol] = byte(f.take(3))
	}
	if !f.literals.init(lengths[:len(codeOrder)]) {
		return false
	}
	clear(lengths[:])
	for i := 0; i < literals+distances; {
		f.refill()
		symbol, size := f.literals.find(f.bit)
		f.take(size)
		if size == 0 {
			return false
		}
		length, repeat := byte(symbol), 1
		switch symbol {
		case 16:
			if i == 0 {
				return false
			}
			length, repeat = lengths[i-1], 3+int(f.take(2))
		case 17:
			length, repeat = 0, 3+int(f.take(3))
		case 18:
			length, repeat = 0, 11+int(f.take(7))
		}
		if i+repeat > literals+distances {
			return false
		}
		for range repeat {
			lengths[i] = length
			i++
		}
	}
	return f.literals.init(lengths[:literals]) && f.distances.init(lengths[literals:literals+distances])
}

// block decompresses a block up to its end (3.2.3).
func (f *inflater) block(literals, distances *huffman) bool {
	// A fast reader has its state in registers.
	in, out, end := f.in, f.out, f.end
	at, bit, has := f.at, f.bit, f.has
	for {
		if at <= len(in)-inPadding {
			bit |= binary.LittleEndian.Uint64(in[at:]) << has
		}
		at += int(63-has) / 8
		has |= 56
		// There are bits for three literals, or for one and a match's length.
		symbol, size := literals.find(bit)
		for range 2 {
			if symbol > 255 || size == 0 || end == len(out) {
				break
			}
			bit >>= size
			has -= size
			out[end] = byte(symbol)
			end++
			symbol, size = literals.find(bit)
		}
		if size == 0 {
			return false
		}
		bit >>= size
		has -= size
		if symbol <= 256 {
			if symbol == 256 {
				f.at, f.bit, f.has, f.end = at, bit, has, end
				return true
			}
			if end == len(out) {
				return false
			}
			out[end] = byte(symbol)
			end++
			continue
		}
		if symbol -= 257; symbol >= uint(len(lengthBase)) {
			return false
		}
		if at <= len(in)-inPadding {
			bit |= binary.LittleEndian.Uint64(in[at:]) << has
		}
		at += int(63-has) / 8
		has |= 56
		extra := uint(lengthExtra[symbol])
		length := int(lengthBase[symbol]) + int(bit&(1<<extra-1))
		bit >>= extra
		has -= extra
		symbol, size = distances.find(bit)
		if size == 0 || symbol >= uint(len(farBase)) {
			return false
		}
		bit >>= size
		has -= size
		extra = uint(farExtra[symbol])
		far := int(farBase[symbol]) + int(bit&(1<<extra-1))
		bit >>= extra
		has -= extra
		if far > end || end+length > len(out) {
			return false
		}
		if far >= length {
			copy(out[end:end+length], out[end-far:])
			end += length
			continue
		}
		for range length { // it repeats itself
			out[end] = out[end-far]
			end++
		}
	}
}
