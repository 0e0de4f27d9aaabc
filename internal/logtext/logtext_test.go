package logtext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Control, formatting and invalid characters are escaped, and long texts are truncated.
func TestCleanEscapesWhatDoesNotShow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		max  int
		want string
	}{
		{"", 10, ""},
		{"plain text, with ünïcode and 山田 😀", 100, "plain text, with ünïcode and 山田 😀"},
		{"a\nb\r\tc\x00\x1b[31m", 100, `a\u000ab\u000d\u0009c\u0000\u001b[31m`},
		{"\u202a\u202b\u202c\u202d\u202e", 100, `\u202a\u202b\u202c\u202d\u202e`},
		{"\u2066\u2067\u2068\u2069\u200e\u200f\u061c", 100, `\u2066\u2067\u2068\u2069\u200e\u200f\u061c`},
		{"a\u2028b\u2029c\u0085d", 100, `a\u2028b\u2029c\u0085d`},
		{"\u200b\ufeff\u00ad\U000e0041", 100, `\u200b\ufeff\u00ad\U000e0041`},
		{"a\xffb\xc3", 100, `a\xffb\xc3`},
		{"\xed\xa0\x80", 100, `\xed\xa0\x80`},
		{"\ufffd", 100, "\ufffd"},
		{"abcdefghij", 10, "abcdefghij"},
		{"abcdefghijk", 10, "abcdefg…"},
		{"ääääää", 10, "äää…"},
		{"abcdefg\n", 10, "abcdefg…"},
		{"abc\n\n", 12, `abc\u000a…`},
		{"abc", 2, "ab"},
		{"ä", 1, ""},
	} {
		if got := Clean(tc.text, tc.max); got != tc.want {
			t.Errorf("Clean(%q, %d) is %q, not %q", tc.text, tc.max, got, tc.want)
		}
	}
}

func TestRedactHidesSecretsInEverySpelling(t *testing.T) {
	t.Parallel()
	const secret = `p/ss+"wörd"&4/0Ab_cd-EFGHIJKLMNOP=`
	for _, text := range []string{
		"the code " + secret + " is spent",
		"the code " + strings.ToUpper(secret),
		"p%2Fss%2B%22w%C3%B6rd%22%264%2F0Ab_cd-EFGHIJKLMNOP%3D is bad",
		"p%2fss%2b%22w%c3%b6rd%22%264%2f0Ab_cd-EFGHIJKLMNOP%3d is bad",
		"p/ss+&#34;wörd&#34;&amp;4/0Ab_cd-EFGHIJKLMNOP=",
		`p\/ss+"wörd"&4\/0Ab_cd-EFGHIJKLMNOP=`,
		`p/ss+\"wörd\"&4/0Ab_cd-EFGHIJKLMNOP=`,
		"only a part: 0Ab_cd-EFGHIJ…",
	} {
		got := Redact(text, "", "x", secret)
		if strings.Contains(strings.ToLower(got), "ab_cd-efgh") {
			t.Errorf("%q: expected a text without the secret, seen %q", text, got)
		}
		if !strings.Contains(got, redacted) {
			t.Errorf("%q: expected %q in its place, seen %q", text, redacted, got)
		}
	}
	if got := Redact("AADSTS7000215: Invalid client secret provided", secret, "abc", ""); got != "AADSTS7000215: Invalid client secret provided" {
		t.Errorf("an innocent text becomes %q", got)
	}
	if got := Redact("code s3cr (s3cr)", "s3cr"); got != "code [redacted] ([redacted])" {
		t.Errorf("a short secret: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a\u202eb", "\xff\xfe", strings.Repeat("ä", 300), "\u2028", "AADSTS70011: The provided value\r\nTrace ID: 1", "\U000e0001"} {
		f.Add(seed, 16)
		f.Add(seed, 256)
	}
	f.Fuzz(func(t *testing.T, text string, max int) {
		got := Clean(text, max)
		if len(got) > max && !(max < 0 && got == "") {
			t.Errorf("expected %d bytes at most, seen %d: %q", max, len(got), got)
		}
		if !utf8.ValidString(got) {
			t.Errorf("expected UTF-8, seen %q", got)
		}
		for _, r := range got {
			if r != ' ' && !unicode.IsPrint(r) {
				t.Errorf("%q holds %U", got, r)
			}
		}
		if again := Clean(got, max); again != got {
			t.Errorf("%q is cleaned to %q", got, again)
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("the code abcdefghijklmnop is spent", "abcdefghijklmnop")
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaa")
	f.Add("[redacted]", "redacted")
	f.Add("é%2F", "é/")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := Redact(text, secret)
		if len(secret) < minSecret {
			if got != text {
				t.Errorf("%q hides %q: %q", secret, text, got)
			}
			return
		}
		for _, part := range strings.Split(got, redacted) {
			if strings.Contains(lower(part), lower(secret)) {
				t.Errorf("%q is in %q", secret, got)
			}
		}
	})
}
