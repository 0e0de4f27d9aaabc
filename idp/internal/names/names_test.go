package names

import (
	"strings"
	"testing"
)

func TestKeysOfTheSameName(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"anna", "Anna", "ANNA", " anna ", "ａｎｎａ", "\tanna\n"},
		{"straße", "STRASSE", "strasse"},
		{"müller", "MÜLLER", "mu\u0308ller"},
		{"anna@example.com", "Anna@Example.COM", "anna＠example.com"},
		{"file", "ﬁle"},
		{"jörg@münchen.example", "JÖRG@xn--mnchen-3ya.example", "jörg@MÜNCHEN.example"},
		{"σας", "ΣΑΣ", "σασ"},
	} {
		want := Key(same[0])
		if want == "" {
			t.Errorf("%q: expected a key, seen none", same[0])
		}
		for _, text := range same {
			if key := Key(text); key != want {
				t.Errorf("%q: expected the key of %q, seen %q", text, same[0], key)
			}
		}
	}
	if Key("anna") == Key("аnna") {
		t.Error("expected a Cyrillic letter to make another name, seen the same")
	}
}

func TestTextsThatAreNoNames(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "a\x00b", "a\nb", "an\u200bna", "\u202eanna", "a\u2028b", "\xff", strings.Repeat("a", maxInput+1), strings.Repeat("ﷺ", 100)} {
		if key := Key(text); key != "" {
			t.Errorf("%q: expected no key, seen %q", text, key)
		}
	}
}

func TestNamesOfNewUsers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"anna": "anna", "Anna": "anna", "ＡＮＮＡ": "anna", "a": "a", "anna.b-c_d+e": "anna.b-c_d+e", "2fa": "2fa", "_x": "_x",
		"Müller": "müller", "иван": "иван", "יוסף": "יוסף", "田中さくら": "田中さくら", "김철수": "김철수",
		strings.Repeat("a", MaxName): strings.Repeat("a", MaxName), "client": "client",
	} {
		if got, err := New(name); err != nil || got != want {
			t.Errorf("%q: expected %q, seen %q, %v", name, want, got, err)
		}
	}
	for _, name := range []string{
		"", " ", "anna b", " anna", "anna ", "anna@example.com", "anna＠example.com", "client/x", "client／x", "github/anna", "a/b",
		"аdmin", "pаypal", "annα", "a\u200bb", "a\u202eb", "a\x00", "a\nb", "\xff", "a,b", `a"b`, "a<b", "a:b", "a\\b", "a%b", "é́́́\u0489",
		"-anna", ".anna", "+anna", "☃", "anna😀", "a\u0660\u06f0", strings.Repeat("a", MaxName+1), strings.Repeat("ß", maxInput),
		"נaב",
	} {
		if got, err := New(name); err == nil {
			t.Errorf("%q: expected an error, seen the name %q", name, got)
		}
	}
}

func TestANameWithAnAtIsTheOwnersVerifiedAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, email string
		verified    bool
		want        string
	}{
		{"anna", "", false, "anna"},
		{"anna@example.com", "anna@example.com", true, "anna@example.com"},
		{"ANNA@example.com", "anna@EXAMPLE.com", true, "ANNA@example.com"},
		{"anna@example.com", "anna@example.com", false, ""},
		{"anna@example.com", "otto@example.com", true, ""},
		{"anna@example.com", "", true, ""},
		{"anna＠example.com", "otto@example.com", true, ""},
		{"@", "@", true, ""},
	} {
		if got, err := NewFor(test.name, test.email, test.verified); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: seen %q, %v", test, got, err)
		}
	}
}

func TestNamesOfExternalUsers(t *testing.T) {
	t.Parallel()
	if got, err := External("Partners", "Anna"); err != nil || got != "partners/anna" {
		t.Errorf("expected partners/anna, seen %q, %v", got, err)
	}
	for _, test := range [][2]string{{"client", "x"}, {"Client", "x"}, {"ｃlient", "x"}, {"a/b", "x"}, {"a", "x/y"}, {"a", ""}, {"", "x"}, {"a", "x@y"}} {
		if got, err := External(test[0], test[1]); err == nil {
			t.Errorf("%q: expected an error, seen %q", test, got)
		}
	}
}

func TestNamesOfApplications(t *testing.T) {
	t.Parallel()
	if got, err := Application("CI-robot_2.x"); err != nil || got != "ci-robot_2.x" {
		t.Errorf("expected ci-robot_2.x, seen %q, %v", got, err)
	}
	for _, name := range []string{"", "ä", "a+b", "a b", "a/b", "a@b", "-a"} {
		if got, err := Application(name); err == nil {
			t.Errorf("%q: expected an error, seen %q", name, got)
		}
	}
}

func TestEmailAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"anna@example.com": "anna@example.com", "Anna@Example.COM": "Anna@example.com", "a+b.c@sub.example.com": "a+b.c@sub.example.com",
		"o'brien@example.com": "o'brien@example.com", "root@localhost": "root@localhost", "jörg@münchen.example": "jörg@xn--mnchen-3ya.example",
		"x@xn--mnchen-3ya.example":                     "x@xn--mnchen-3ya.example",
		strings.Repeat("a", maxLocal) + "@example.com": strings.Repeat("a", maxLocal) + "@example.com",
	} {
		if got, err := Email(text); err != nil || got != want {
			t.Errorf("%q: expected %q, seen %q, %v", text, want, got, err)
		}
	}
	for _, text := range []string{
		"", "@", "anna", "anna@", "@example.com", "a b@example.com", "anna@exa mple.com", "anna@example.com\r\nBcc: x@y", "anna\r\nBcc: x@example.com",
		"a\x00@example.com", `"a b"@example.com`, "a(b)@example.com", "<anna@example.com>", "Anna <anna@example.com>", "a,b@example.com", "a;b@example.com",
		"anna@example..com", "anna@.example.com", "anna@-example.com", "anna@[127.0.0.1]", "anna@exam_ple.com", ".a@example.com", "a.@example.com", "a..b@example.com",
		"a@b@example.com", strings.Repeat("a", maxLocal+1) + "@example.com", "a@" + strings.Repeat("a.", 127) + "com", "a\u202eb@example.com", "a\u2003b@example.com", "\xff@example.com",
		"a@" + strings.Repeat("b", 64) + ".com",
	} {
		if got, err := Email(text); err == nil {
			t.Errorf("%q: expected an error, seen %q", text, got)
		}
	}
}

func TestNamesThatAreShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", " Anna  Müller ": "Anna  Müller", "Mu\u0308ller": "Müller", "می\u200cخواهم": "می\u200cخواهم", "<b>": "<b>",
		strings.Repeat("é", MaxDisplayName): strings.Repeat("é", MaxDisplayName),
	} {
		if got, err := Display(text); err != nil || got != want {
			t.Errorf("%q: expected %q, seen %q, %v", text, want, got, err)
		}
	}
	for _, text := range []string{"a\nb", "a\tb", "a\u202eb", "a\u2066b", "a\x00b", "a\u2028b", "\xff", "a\u200bb", strings.Repeat("a", MaxDisplayName+1)} {
		if got, err := Display(text); err == nil {
			t.Errorf("%q: expected an error, seen %q", text, got)
		}
	}
}

// FuzzNames checks that an accepted name, address or domain is found by its own key, does
// not change when it is accepted again, and cannot end a header.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"anna", "Müller", "anna@example.com", "jörg@münchen.example", "ﬁle", "ǰ", "İ", "ẞ", "client/x", "\u0345", "Ⅷ", "ΐ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if key := Key(text); Key(key) != key {
			t.Errorf("%q: expected the key %q to be its own key, seen %q", text, key, Key(key))
		}
		for form, check := range map[string]func(string) (string, error){"name": New, "application": Application, "address": Email, "domain": Domain} {
			kept, err := check(text)
			if err != nil {
				continue
			}
			if again, err := check(kept); err != nil || again != kept {
				t.Errorf("%q as %s: %q becomes %q, %v", text, form, kept, again, err)
			}
			if Key(kept) == "" {
				t.Errorf("%q as %s: expected a key of %q, seen none", text, form, kept)
			}
			if form != "domain" && Key(kept) != Key(text) {
				t.Errorf("%q as %s: expected the key %q, seen %q", text, form, Key(text), Key(kept))
			}
			if strings.ContainsAny(kept, "\r\n\x00 <>,;\"") {
				t.Errorf("%q as %s: expected nothing that ends a header, seen %q", text, form, kept)
			}
			if form == "name" && strings.ContainsAny(kept, "@/") {
				t.Errorf("%q: expected no @ and no slash in a name, seen %q", text, kept)
			}
		}
	})
}
