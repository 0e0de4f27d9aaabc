package accesskey

import (
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

// fixed is a key with known parts. Its checksum is the CRC-32 (IEEE) of the text before
// it.
const fixed = "orp_ci_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_" + fixedChecksum

const fixedChecksum = "43ffd8e6"

func TestNewKeys(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, name := range []string{"ci", "a", "_", "-", ".", "a_b", "orp_", "a_" + strings.Repeat("A", 43), strings.Repeat("x", maxName)} {
		for range 20 {
			key, err := New(name)
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if seen[key] {
				t.Errorf("%q: expected keys that differ, seen one twice", name)
			}
			seen[key] = true
			if got, err := NameIn(key); got != name || err != nil {
				t.Errorf("expected the name %q in %q, seen %q and %v", name, key, got, err)
			}
		}
	}
	for _, name := range []string{"", strings.Repeat("x", maxName+1), "a b", "a:b", "a/b", "ä", "a\n", "a,b", "#a", "a%20b"} {
		if _, err := New(name); err == nil {
			t.Errorf("expected the name %q to be refused", name)
		}
	}
}

func TestFormOfKeys(t *testing.T) {
	t.Parallel()
	if name, err := NameIn(fixed); name != "ci" || err != nil {
		t.Fatalf("expected the name ci, seen %q and %v", name, err)
	}
	with := func(text string) string {
		sum := checksumOf(text)
		return text + "_" + string(sum[:])
	}
	secret := strings.Repeat("A", secretSize)
	for name, key := range map[string]string{
		"nothing":                      "",
		"the prefix alone":             program.KeyPrefix,
		"no name":                      with("orp__" + secret),
		"no name and no underscore":    with("orp_" + secret),
		"another prefix":               with("ORP_ci_" + secret),
		"a short secret":               with("orp_ci_" + secret[1:]),
		"a secret in other characters": with("orp_ci_" + secret[1:] + "+"),
		"a secret with padding":        with("orp_ci_" + secret[1:] + "="),
		"a space in the name":          with("orp_c i_" + secret),
		"a colon in the name":          with("orp_c:i_" + secret),
		"a long name":                  with("orp_" + strings.Repeat("x", maxName+1) + "_" + secret),
		"a space at the end":           fixed + " ",
		"a space in front":             " " + fixed,
		"a line break":                 fixed + "\n",
		"another checksum":             fixed[:len(fixed)-1] + "0",
		"a checksum in capitals":       strings.ToUpper(fixed[len(fixed)-8:]),
		"the checksum in capitals":     fixed[:len(fixed)-8] + strings.ToUpper(fixed[len(fixed)-8:]),
		"another letter":               strings.Replace(fixed, "ci", "cj", 1),
		"cut":                          fixed[:len(fixed)-1],
		"very long":                    "orp_" + strings.Repeat("x", 1<<20),
		"bytes that are no text":       with("orp_\xff\xfe_" + secret),
	} {
		if got, err := NameIn(key); err == nil {
			t.Errorf("%s: expected an error, seen the name %q", name, got)
		}
	}
}

// The parts of a key are found from its end, so a name may contain underscores.
func FuzzNameIn(f *testing.F) {
	f.Add(fixed)
	f.Add("orp__")
	f.Add("orp_a_b_" + strings.Repeat("_", 43) + "_00000000")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := NameIn(text)
		if err != nil {
			return
		}
		if CheckName(name) != nil {
			t.Errorf("%q: expected a name, seen %q", text, name)
		}
		if len(text) != len(program.KeyPrefix)+len(name)+tailSize {
			t.Errorf("%q: expected nothing but the parts of a key, seen %d bytes", text, len(text))
		}
		for _, changed := range []string{text + "x", text[1:], text[:len(text)-1]} {
			if _, err := NameIn(changed); err == nil {
				t.Errorf("%q: expected an error, seen a key", changed)
			}
		}
	})
}
