package compact

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// claimsOf are the claims of a file of the benchmarks, as a session has them.
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

// guids is a list of GUIDs, as JSON.
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
		"marks":                                "\x1c\x1d\x1e\x1f\x1f\x1e\x10\x1c" + guid + "\x1e",
		"every byte":                           everyByte(),
		"the longest":                          strings.Repeat("groups", MaxSize/6),
	} {
		text += strings.Repeat("preferred_username", 3) // so that it is worth it
		packed, ok := Append([]byte("before"), text[:min(len(text), MaxSize)])
		if !ok || string(packed[:6]) != "before" {
			t.Errorf("%s: is not compressed", name)
			continue
		}
		if got, err := Expand(string(packed[6:])); err != nil || got != text[:min(len(text), MaxSize)] {
			t.Errorf("%s: comes back as %q, %v", name, got, err)
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

// noise is text that nothing can make shorter.
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
	} {
		if packed, ok := Append([]byte("dst"), text); ok || string(packed) != "dst" {
			t.Errorf("%s: %q, %v", name, packed, ok)
		}
	}
}

// Issue 7, point 6: the sizes that a session's claims may have.
func TestClaimsAreSmall(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		most       int
	}{
		{"15 claims and 10 groups", claimsOf(t, "usual.json"), 260},
		{"66 claims and 40 groups", claimsOf(t, "large.json"), 1200},
		{"250 GUIDs", guids(250), 250*16 + 100},
	} {
		packed, ok := Append(nil, tc.text)
		t.Logf("%s: %d bytes become %d", tc.name, len(tc.text), len(packed))
		if !ok || len(packed) > tc.most {
			t.Errorf("%s: %d bytes become %d, want %d at most", tc.name, len(tc.text), len(packed), tc.most)
		}
	}
}

// What was ever sealed is to be opened: dictionaries and forms never change.
func TestWhatWasEverCompressedIsExpanded(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256(dictionary1)
	if got, want := hex.EncodeToString(sum[:]), dictionary1Sum; got != want {
		t.Errorf("dictionary 1 has changed: its SHA-256 is %s, want %s", got, want)
	}
	golden, err := os.ReadFile("testdata/compact-1.hex")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := hex.DecodeString(strings.TrimSpace(string(golden)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Expand(string(packed)); err != nil || got != goldenText {
		t.Errorf("expands to %q, %v", got, err)
	}
}

const dictionary1Sum = "81d64cce8c103d239d63f6905314f36173713d446f85303624decb953ee3a30f"

const goldenText = "\x05emails\x11ada@corp.example\x06groupsj\x53" +
	`["8f2f0a5e-3d0b-4a55-9c0e-6a1f5f1f2b77","8F2F0A5E-3D0B-4A55-9C0E-6A1F5F1F2B77","é\u001f"]` +
	"\x03oids 0123456789abcdef0123456789abcdef\x01xs\x1c\x1d\x1e\x1f"

func TestMalformedTextsAreRefused(t *testing.T) {
	t.Parallel()
	packed, _ := Append(nil, goldenText)
	whole := string(packed)
	for name, text := range map[string]string{
		"nothing":                      "",
		"another dictionary":           "\x02" + whole[1:],
		"sizes without end":            "\x01\xff\xff\xff\xff\xff",
		"a size over the most":         "\x01\x81\x80\x02" + whole[3:],
		"more than there is, lifted":   "\x01\x10\x10\x7f",
		"more after the end":           whole + "x",
		"nothing but its sizes":        whole[:5],
		"another size of the text":     whole[:1] + "\x05" + whole[3:],
		"no data":                      "\x01\x00\x00\x00",
		"a bomb: more than it says":    bomb(100),
		"a bomb: less than it says":    bomb(MaxSize),
		"a mark of nothing at the end": deflated("\x1f", "", 1),
		"a GUID that is not there":     deflated("\x1c", "", 36),
		"digits that are not there":    deflated("\x1e\x08", "1234567", 16),
		"a mark of digits at the end":  deflated("\x1e", "", 1),
		"a GUID that does not fit":     deflated("\x1c", "1234567890123456", 35),
		"digits that do not fit":       deflated("\x1e\x08", "12345678", 15),
		"something lifted of no use":   deflated("a", "12345678", 1),
	} {
		if got, err := Expand(text); err != ErrMalformed || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for length := range whole {
		if got, err := Expand(whole[:length]); err != ErrMalformed {
			t.Errorf("%d bytes of %d: %q, %v", length, len(whole), got, err)
		}
	}
}

// deflated is a compressed form of any parts.
func deflated(left, lifted string, size int) string {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	e.text, e.raw = append(e.text[:0], left...), append(e.raw[:0], lifted...)
	return string(e.append(nil, size))
}

// bomb is a million zeros that are said to be some bytes.
func bomb(said int) string {
	whole := deflated(strings.Repeat("\x00", 1<<20), "", said)
	claimed := []byte{number1, byte(said&0x7f | 0x80), byte(said>>7&0x7f | 0x80), byte(said >> 14)}
	return string(append(append(append(claimed, claimed[1:]...), 0), whole[1+3+3+1:]...))
}

// It is not parallel: allocations of others would count.
func TestExpandAllocatesTheTextAlone(t *testing.T) {
	packed, _ := Append(nil, claimsOf(t, "usual.json"))
	whole := string(packed)
	if n := testing.AllocsPerRun(100, func() { _, _ = Expand(whole) }); n > 1 && !underRace { // which empties pools
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExpand(b *testing.B) {
	for _, file := range []string{"usual.json", "large.json"} {
		text := claimsOf(b, file)
		packed, _ := Append(nil, text)
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
				Append(nil, text)
			}
		})
	}
}
