package compact

import "strings"

// This file packs identifiers that must not be compressed together with other text,
// such as a session's id at the provider, which is stored next to a secret. The
// packed size depends only on the length of the identifier and the kinds of its
// characters.

// The forms of a packed identifier, in the upper seven bits of its first byte.
const (
	identifierPlain = iota
	identifierGUID  // lower-case, 16 bytes
	identifierDigits
	identifierBase32
	identifierBase64
)

// alphabets are the characters of each form, the smallest alphabet first. Their
// sizes are powers of two.
var alphabets = [...]struct {
	form       byte
	bits       int
	characters string
}{
	{identifierDigits, 4, lowerDigits},
	{identifierBase32, 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"},
	{identifierBase64, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
}

// PackIdentifier packs an identifier that is a GUID, hexadecimal, Base32 or Base64
// into fewer bytes. It prefixes any other identifier with one byte.
func PackIdentifier(id string) string {
	if len(id) == guidSize && guidAt(id, hexRun(id)) == markGUID {
		return string(appendGUID([]byte{identifierGUID << 1}, id))
	}
	for _, a := range alphabets {
		if strings.Trim(id, a.characters) == "" {
			return packBits(id, a.form, a.bits, a.characters)
		}
	}
	return string(byte(identifierPlain<<1)) + id
}

// packBits joins the bits of the characters. The lowest bit of the first byte is
// set if the padding has room for another character, which unpacking must drop.
func packBits(id string, form byte, size int, characters string) string {
	packed := make([]byte, 1, 1+(len(id)*size+7)/8)
	word, has := 0, 0
	for i := range len(id) {
		word, has = word<<size|strings.IndexByte(characters, id[i]), has+size
		if has >= 8 {
			has -= 8
			packed = append(packed, byte(word>>has))
			word &= 1<<has - 1
		}
	}
	if has > 0 {
		packed = append(packed, byte(word<<(8-has)))
	}
	packed[0] = form << 1
	if (len(packed)-1)*8-len(id)*size >= size {
		packed[0] |= 1
	}
	return string(packed)
}

// UnpackIdentifier reverses PackIdentifier. It returns false for malformed input.
func UnpackIdentifier(packed string) (id string, ok bool) {
	if packed == "" {
		return "", false
	}
	form, body := packed[0]>>1, packed[1:]
	switch {
	case packed[0] == identifierPlain<<1:
		return body, true
	case packed[0] == identifierGUID<<1 && len(body) == 16:
		return string(expandGUID(nil, body, markGUID)), true
	}
	for _, a := range alphabets {
		if a.form == form {
			id = unpackBits(body, a.bits, a.characters)
			if packed[0]&1 == 1 && id != "" {
				id = id[:len(id)-1]
			}
			return id, id != ""
		}
	}
	return "", false
}

func unpackBits(packed string, size int, characters string) string {
	id := make([]byte, 0, 64) // stays on the stack if it is not longer
	word, has := 0, 0
	for i := range len(packed) {
		word, has = word<<8|int(packed[i]), has+8
		for has >= size {
			has -= size
			id = append(id, characters[word>>has])
			word &= 1<<has - 1
		}
	}
	return string(id)
}
