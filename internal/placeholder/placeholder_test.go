package placeholder

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// replacer knows one variable. Its errors read like those of Caddy's replacer.
func replacer(text string) (string, error) {
	switch text {
	case "{env.NAME}":
		return "value\n", nil
	case "{env.ABSENT}-{env.NAME}":
		return "", errors.New("unrecognized placeholder {env.ABSENT}")
	}
	return "", errors.New("unrecognized placeholder {secret}")
}

func TestPlaceholdersAreResolved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	full, empty := filepath.Join(folder, "full"), filepath.Join(folder, "empty")
	for name, content := range map[string]string{full: "content\r\n", empty: "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ text, want, err string }{
		{"plain", "plain", ""},
		{"{env.NAME}", "value", ""},
		{"{env.ABSENT}-{env.NAME}", "", "{env.ABSENT} is empty or cannot be read"},
		{"{secret}", "", "a placeholder in it is unknown, empty or cannot be read; a brace that is meant is written \\{"},
		{"{file." + full + "}", "content", ""},
		{"{file." + empty + "}", "", "{file." + empty + "} is empty or cannot be read"},
		{"{file." + folder + "/absent}", "", "{file." + folder + "/absent} is empty or cannot be read: no such file or directory"},
	} {
		got, err := Expander{replacer}.Expand(tc.text)
		if got != tc.want {
			t.Errorf("%s became %q, expected %q", tc.text, got, tc.want)
		}
		if message := messageOf(err); message != tc.err {
			t.Errorf("%s made the error %q, expected %q", tc.text, message, tc.err)
		}
	}
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestPlaceholdersForFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{file./run/key}": "/run/key", "{file.}": "", "{file./a}{file./b}": "", "{env.NAME}": "", "/run/key": "", `{file.a\}`: "",
	} {
		name, ok := File(text)
		if ok != (want != "") {
			t.Errorf("%s is a placeholder for a file: %t, expected %t", text, ok, !ok)
		}
		if ok && name != want {
			t.Errorf("%s names the file %q, expected %q", text, name, want)
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	name := filepath.Join(folder, "secret")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{name: true, folder: false, name + "s": false, "secret": false, "": false} {
		if got := NamesFile(value); got != want {
			t.Errorf("%q names a file: %t, expected %t", value, got, want)
		}
	}
}

func TestFixedPlaceholders(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"": true, "admins": true, "{env.A}": true, "a{env.A}b{file./c}": true, `\{a`: true, `\{env.A`: true, `{env.A}\{`: true, `a}`: true, "{env.A}}": true,
		"{a}": false, "{http.request.uri}": false, "{env.A": false, "{file./a": false, "{env.A {env.B}": false, "{env.A}{": false, "{": false, `\{{a}`: false, "{}": false,
	} {
		if err := CheckFixed(text); (err == nil) != ok {
			t.Errorf("%s: expected to be accepted: %v, seen %v", text, ok, err)
		}
	}
}
