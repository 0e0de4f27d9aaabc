package compact

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// claimsOf returns the claims in a file of the benchmarks, encoded as in a session.
func claimsOf(t testing.TB, file string) string {
	t.Helper()
	object, err := os.ReadFile("../../bench/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "sub")
	set, err := claims.Encode(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(set)
}

// guids returns a JSON list of GUIDs.
func guids(count int) string {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf(`"%08x-%04x-%04x-%04x-%012x"`, r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint32()&0xffff, r.Uint64()&0xffffffffffff)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestTextsComeBackByteForByte(t *testing.T) {
	t.Parallel()
	const guid = "8f2f0a5e-3d0b-4a55-9c0e-6a1f5f1f2b77"
	for name, text := range map[string]string{
		"a usual user":                         claimsOf(t, "usual.json"),
		"a user with many claims":              claimsOf(t, "large.json"),
		"GUIDs":                                guids(250),
		"one GUID":                             guid,
		"a GUID of upper-case letters":         strings.ToUpper(guid),
		"a GUID of both":                       "8F2f0a5e-3d0b-4a55-9c0e-6a1f5f1f2b77",
		"a GUID of digits alone":               "12345678-1234-1234-1234-123456789012",
		"a GUID in braces":                     "{" + guid + "}",
		"a GUID after a digit":                 "0" + guid,
		"a GUID before a digit":                guid + "0",
		"GUIDs without anything between":       guid + guid,
		"a GUID that is cut short":             guid[:35],
		"a GUID with another dash":             strings.Replace(guid, "-", "_", 1),
		"hexadecimal digits":                   "0123456789abcdef0123456789abcdef",
		"an odd number of them":                "0123456789abcdef0",
		"hexadecimal digits in upper case":     "0123456789ABCDEF0123456789ABCDEF",
		"fewer of them than are worth it":      "0123456789abcde",
		"more of them than one mark can count": strings.Repeat("0123456789abcdef", 50) + "0",
		"a time":                               "1761140000",
		"times beside other digits":            "1761140000 01761140000 17611400000 1761140000a 0761140000",
		"the latest time and the next":         "4294967295,4294967296",
		"marks":                                "\x1b\x1c\x1d\x1e\x1f\x1f\x1e\x10\x1c" + guid + "\x1e",
		"every byte":                           everyByte(),
		"the longest":                          strings.Repeat("groups", MaxSize/6),
	} {
		text += strings.Repeat("preferred_username", 6) // so that compression is worth it
		text = text[:min(len(text), MaxSize-1)]
		for _, head := range []int{0, 1, len(text) / 2, len(text)} {
			packed, ok := Append([]byte("before"), text[:head], text[head:])
			if !ok {
				t.Errorf("%s, of which %d bytes are no claims: expected it to be compressed, seen that it is not", name, head)
				continue
			}
			if got := string(packed[:6]); got != "before" {
				t.Fatalf("%s, of which %d bytes are no claims: expected it after what was there, seen %q", name, head, got)
			}
			if got, err := Expand(string(packed[6:])); err != nil || got != text {
				t.Errorf("%s, of which %d bytes are no claims: comes back as %q, %v", name, head, got, err)
			}
		}
	}
}

func everyByte() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}

// noise returns text that does not compress.
func noise(size int) string {
	r := rand.NewChaCha8([32]byte{1})
	text := make([]byte, size)
	r.Read(text)
	return string(text)
}

func TestWhatWouldGetNoShorterStaysAsItIs(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "a byte": "x", "noise": noise(500), "more than the most": strings.Repeat("x", MaxSize+1), "marks alone": strings.Repeat("\x1c", 10),
		"more than the most, with what marks need": strings.Repeat("\x1c", MaxSize),
	} {
		packed, ok := Append([]byte("dst"), "", text)
		if ok {
			t.Errorf("%s: expected it not to be compressed, seen that it is", name)
		}
		if string(packed) != "dst" {
			t.Errorf("%s: expected what was there, dst, seen %q", name, packed)
		}
	}
}

// These are the limits for the sizes of compressed claims.
func TestClaimsAreSmall(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		most       int
	}{
		{"15 claims and 10 groups", claimsOf(t, "usual.json"), 170},
		{"66 claims and 40 groups", claimsOf(t, "large.json"), 860},
		{"250 GUIDs", guids(250), 250*16 + 100},
	} {
		packed, ok := Append(nil, "", tc.text)
		t.Logf("%s: %d bytes become %d", tc.name, len(tc.text), len(packed))
		if !ok {
			t.Errorf("%s: expected it to be compressed, seen that it is not", tc.name)
		}
		if len(packed) > tc.most {
			t.Errorf("%s: expected %d bytes at most of %d, seen %d", tc.name, tc.most, len(tc.text), len(packed))
		}
	}
}

// Everything that was ever sealed must still open, so dictionaries and formats never
// change.
func TestWhatWasEverCompressedIsExpanded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		form, sum  string
		dictionary []byte
	}{
		{"1", "81d64cce8c103d239d63f6905314f36173713d446f85303624decb953ee3a30f", dictionary1},
		{"2", "5fb1992347ae82f425e7bc32756b1ab0cbf0d0c9249c45cf2d23473c26e1e912", dictionary2},
	} {
		sum := sha256.Sum256(tc.dictionary)
		if got := hex.EncodeToString(sum[:]); got != tc.sum {
			t.Errorf("dictionary %s has changed: its SHA-256: expected %s, seen %s", tc.form, tc.sum, got)
		}
		golden, err := os.ReadFile("testdata/compact-" + tc.form + ".hex")
		if err != nil {
			t.Fatal(err)
		}
		packed, err := hex.DecodeString(strings.TrimSpace(string(golden)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Expand(string(packed)); err != nil || got != goldenText {
			t.Errorf("form %s expands to %q, %v; want %q", tc.form, got, err, goldenText)
		}
	}
}

// The names of claims are part of form 2.
func TestShortNamesNeverChange(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte(strings.Join(shortNames[:], "\n")))
	if got, want := hex.EncodeToString(sum[:]), "095e96cddabd1ef6e882b135f520113edea59af362f56e74df9e8b01f4c84e06"; got != want {
		t.Errorf("the short names have changed: their SHA-256: expected %s, seen %s", want, got)
	}
	if len(shortByName) != len(shortNames) {
		t.Errorf("%d names are different, want %d", len(shortByName), len(shortNames))
	}
	for i, name := range shortNames {
		if want := int(name[0]) + 2; len(name) != want {
			t.Errorf("number %d: expected %d bytes, seen %q", i, want, name)
		}
		if !strings.HasSuffix(name, "s") && !strings.HasSuffix(name, "j") {
			t.Errorf("number %d: expected a kind at the end, seen %q", i, name)
		}
	}
}

const goldenText = "\x05emails\x11ada@corp.example\x06groupsj\x53" +
	`["8f2f0a5e-3d0b-4a55-9c0e-6a1f5f1f2b77","8F2F0A5E-3D0B-4A55-9C0E-6A1F5F1F2B77","é\u001f"]` +
	"\x03oids 0123456789abcdef0123456789abcdef\x01xs\x1c\x1d\x1e\x1f"

func TestMalformedTextsAreRefused(t *testing.T) {
	t.Parallel()
	for _, whole := range []string{form1Of(t, goldenText), form2Of(t, goldenText)} {
		for length := range whole {
			if got, err := Expand(whole[:length]); err != ErrMalformed {
				t.Errorf("%d bytes of %d of form %d: %q, %v", length, len(whole), whole[0], got, err)
			}
		}
		if got, err := Expand(whole + "x"); err != ErrMalformed {
			t.Errorf("more after the end of form %d: %q, %v", whole[0], got, err)
		}
	}
	whole := form1Of(t, goldenText)
	for name, text := range map[string]string{
		"nothing":                      "",
		"no form":                      "\x03" + whole[1:],
		"another form":                 "\x02" + whole[1:],
		"sizes without end":            "\x01\xff\xff\xff\xff\xff",
		"a size over the most":         "\x01\x81\x80\x02" + whole[3:],
		"more than there is, lifted":   "\x01\x10\x10\x7f",
		"another size of the text":     whole[:1] + "\x05" + whole[3:],
		"no data":                      "\x01\x00\x00\x00",
		"a bomb: more than it says":    form1(t, strings.Repeat("\x00", 100), "", 10),
		"a bomb: more than the most":   form1(t, strings.Repeat("\x00", 1<<20), "", MaxSize),
		"a mark of nothing at the end": form1(t, "\x1f", "", 1),
		"a GUID that is not there":     form1(t, "\x1c", "", 36),
		"digits that are not there":    form1(t, "\x1e\x08", "1234567", 16),
		"a mark of digits at the end":  form1(t, "\x1e", "", 1),
		"a GUID that does not fit":     form1(t, "\x1c", "1234567890123456", 35),
		"digits that do not fit":       form1(t, "\x1e\x08", "12345678", 15),
		"something lifted of no use":   form1(t, "a", "12345678", 1),

		"form 2, sizes without end":           "\x02\xff\xff\xff\xff\xff",
		"form 2, a head that is not there":    form2(t, 5, "abcd", ""),
		"form 2, more than there is, lifted":  "\x02\x00\x7f",
		"form 2, a time that is not there":    form2(t, 0, "\x1b", "abc"),
		"form 2, a bomb":                      form2(t, 0, strings.Repeat("\x00", 1<<20), ""),
		"form 2, a bomb of digits":            form2(t, MaxSize+1, strings.Repeat("\x1e\xff", 65), strings.Repeat("x", 255*65)),
		"form 2, a bomb of names":             form2(t, 0, strings.Repeat("\x93\x00", MaxSize/10), ""),
		"form 2, a bomb that is verbatim":     form2(t, 0, strings.Repeat("\x93\x00", 1200)+"\x00"+strings.Repeat("x", MaxSize-4000), ""),
		"form 2, a name without a value":      form2(t, 0, "\x81", ""),
		"form 2, a name whose value is short": form2(t, 0, "\x81\x02x", ""),
		"form 2, a value without an end":      form2(t, 0, "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ""),
		"form 2, a value over the most":       form2(t, 0, "\x81\xff\xff\xff\xff\x0f", ""),
		"form 2, a name that is cut short":    form2(t, 0, "\x05abc", ""),
		"form 2, something lifted of no use":  form2(t, 1, "a", "12345678"),
	} {
		if got, err := Expand(text); err != ErrMalformed || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// form1 returns form 1 of the parts of a text of the given size.
func form1(t testing.TB, left, lifted string, size int) string {
	t.Helper()
	packed := []byte{form1Number}
	for _, n := range []int{size, len(left), len(lifted)} {
		packed = binary.AppendUvarint(packed, uint64(n))
	}
	return string(packed) + lifted + deflate(t, 9, dictionary1, left)
}

func form1Of(t testing.TB, text string) string {
	t.Helper()
	left, lifted := lift(nil, nil, text)
	return form1(t, string(left), string(lifted), len(text))
}

// form2 returns form 2 of the parts of a text.
func form2(t testing.TB, head int, left, lifted string) string {
	t.Helper()
	packed := []byte{form2Number}
	for _, n := range []int{head, len(lifted)} {
		packed = binary.AppendUvarint(packed, uint64(n))
	}
	return string(packed) + lifted + deflate(t, 9, dictionary2, left)
}

func form2Of(t testing.TB, text string) string {
	t.Helper()
	packed, ok := Append(nil, "", text)
	if !ok {
		t.Fatalf("%q is not compressed", text)
	}
	return string(packed)
}

// This test is not parallel: allocations of others would count.
func TestExpandAllocatesTheTextAlone(t *testing.T) {
	packed, _ := Append(nil, "", claimsOf(t, "usual.json"))
	whole := string(packed)
	if n := testing.AllocsPerRun(100, func() { _, _ = Expand(whole) }); n > 1 && !underRace { // the race detector empties pools
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExpand(b *testing.B) {
	for _, file := range []string{"usual.json", "large.json"} {
		text := claimsOf(b, file)
		packed, _ := Append(nil, "", text)
		b.Run(file, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Expand(string(packed)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("append "+file, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Append(nil, "", text)
			}
		})
	}
}
