package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"unicode"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

func TestWhereIssuersDiffer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, configured, found, carets string }{
		{"a slash that is missing", "https://a.example", "https://a.example/", "                             ^"},
		{"a slash too many", "https://a.example/", "https://a.example", "                             ^"},
		{"a letter", "https://a.example", "https://b.example", "                    ^"},
		{"a part of the path", "https://a.example/x/v2", "https://a.example/abc/v2", "                              ^^^"},
		{"letters of two bytes", "https://ä.example", "https://ö.example", "                    ^"},
		{"nothing in common", "a", "bcd", "            ^^^"},
	} {
		lines := difference(row.configured, row.found)
		if got := lines[len(lines)-1]; got != row.carets {
			t.Errorf("%s: expected %q, seen %q", row.name, row.carets, got)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name             string
		statuses         []Status
		usual, strictest int
	}{
		{"nothing", nil, 0, 0},
		{"nothing wrong", []Status{OK, Info}, 0, 0},
		{"a warning", []Status{OK, Warning}, 0, 1},
		{"a failure", []Status{Failed, Warning}, 2, 2},
	} {
		r := new(Report)
		for _, status := range row.statuses {
			r.Checks = append(r.Checks, Check{Status: status})
		}
		r.Count()
		if got := r.ExitCode(false); got != row.usual {
			t.Errorf("%s: expected %d, seen %d", row.name, row.usual, got)
		}
		if got := r.ExitCode(true); got != row.strictest {
			t.Errorf("%s, strict: expected %d, seen %d", row.name, row.strictest, got)
		}
	}
}

func TestReportInColor(t *testing.T) {
	t.Parallel()
	r := &Report{Sites: []Site{{Name: "app.example.com", Checks: []Check{{Name: "sessions", Status: Failed, Message: strings.Repeat("word ", 30), Remedy: "Do this."}}}}}
	var plainText, colored strings.Builder
	if err := r.WriteText(&plainText, false); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteText(&colored, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plainText.String(), "\x1b") {
		t.Errorf("expected no colors, seen %q", plainText.String())
	}
	if !strings.Contains(colored.String(), "\x1b[31m✘\x1b[0m sessions") {
		t.Errorf("expected a red mark, seen %q", colored.String())
	}
	for line := range strings.Lines(plainText.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
			t.Errorf("expected lines of %d characters, seen %d: %q", width, n, line)
		}
	}
}

// A provider controls the names in its metadata and in its certificate. None of them
// may move a terminal's cursor or reverse the direction of its text.
func TestReportsHoldNothingThatATerminalActsOn(t *testing.T) {
	t.Parallel()
	const evil = "a\x1b]0;owned\x07\u009b2J\u202e\x7f\U000e0041b"
	r := &Report{
		Sites: []Site{{
			Name:      evil,
			Providers: []Provider{{ID: evil, Issuer: evil, As: evil, Register: []Address{{"redirect URI", evil}}}, {Checks: []Check{{Name: "scopes", Message: evil, Remedy: evil, Details: []string{evil}}}}},
		}},
		Checks: []Check{{Name: "configuration", Message: strings.Repeat(evil+" ", 10_000)}},
	}
	for name, write := range map[string]func(io.Writer) error{
		"text": func(w io.Writer) error { return r.WriteText(w, false) },
		"JSON": r.WriteJSON,
	} {
		var written bytes.Buffer
		if err := write(&written); err != nil {
			t.Fatal(err)
		}
		acted := strings.IndexFunc(written.String(), func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) })
		if acted >= 0 {
			t.Errorf("%s: expected visible characters alone, seen %q", name, written.String()[acted:min(acted+20, written.Len())])
		}
		if name == "text" && written.Len() > 10*maxText {
			t.Errorf("expected a text that people can read, seen %d bytes", written.Len())
		}
		if name == "JSON" {
			var read Report
			if err := json.Unmarshal(written.Bytes(), &read); err != nil || read.Sites[0].Name != evil {
				t.Errorf("expected JSON with the same texts, seen %q (%v)", read.Sites[0].Name, err)
			}
		}
	}
}

func TestConfigurationsThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, err     string
		message, file string
		line          int
		remedy        string
	}{
		{"a place at the end", "adapting config using caddyfile: parsing caddyfile tokens for 'oidc_rp': claim is missing, at Caddyfile:7",
			"Caddyfile:7: claim is missing", "Caddyfile", 7, ""},
		{"plain HTTP", "adapting config using caddyfile: parsing caddyfile tokens for 'oidc_rp': issuer: \"http://login.example.com\" is plain http, which is only for loopback (insecure would allow it), at Caddyfile:7",
			`Caddyfile:7: issuer: "http://login.example.com" is plain http, which is only for loopback (insecure would allow it)`, "Caddyfile", 7, "Write https://. If the provider has no TLS, give it a certificate first: on plain HTTP, anyone on the network path can sign in as anyone."},
		{"a place before a hint", "adapting config using caddyfile: parsing caddyfile tokens for 'oidc_rp': unknown isuer, at sites/a.caddy:3: did you mean 'issuer'?",
			"sites/a.caddy:3: unknown isuer: did you mean 'issuer'?", "sites/a.caddy", 3, ""},
		{"a place before all", "adapting config using caddyfile: Caddyfile:2: unrecognized directive: oidc", "Caddyfile:2: unrecognized directive: oidc", "Caddyfile", 2, ""},
		{"modules on the way", "loading http app module: provision http: server srv0: loading module 'oidc_rp': provision http.handlers.oidc_rp: site a: session: wrong",
			"C: site a: session: wrong", "C", 0, ""},
		{"the app", "loading app modules: module name 'oidc_rp': provision oidc_rp: provider x: wrong", "C: provider x: wrong", "C", 0, ""},
		{"an address that is no place", "dialing 127.0.0.1:80: refused", "C: dialing 127.0.0.1:80: refused", "C", 0, ""},
		{"a matcher", "adapting config using caddyfile: unrecognized matcher name: @a, at Caddyfile:1", "Caddyfile:1: unrecognized matcher name: @a", "Caddyfile", 1,
			"Define the matcher in this site, as in @a path /a /b/*, or correct its name."},
		{"a file", "open x: permission denied", "C: open x: permission denied", "C", 0, "Run this as the user that runs Caddy, who must be able to read the file."},
	} {
		r := CannotLoad("C", errors.New(row.err))
		got := r.Checks[0]
		want := Check{Name: "configuration", Status: Failed, Message: row.message, Remedy: row.remedy, File: row.file, Line: row.line}
		if text([]Check{got}) != text([]Check{want}) || got.File != want.File || got.Line != want.Line {
			t.Errorf("%s: expected %+v, seen %+v", row.name, want, got)
		}
		if code := r.ExitCode(false); code != 2 {
			t.Errorf("%s: expected the exit code 2, seen %d", row.name, code)
		}
	}
}

func TestWarningsAndTheirSites(t *testing.T) {
	t.Parallel()
	r := &Report{Sites: []Site{{Name: "a"}}}
	r.AddWarning("of a", map[string]any{"site": "a", "hosts": []any{"x", "y"}})
	r.AddWarning("of all", nil)
	r.AddFindings([]loadcheck.Finding{{Message: "of b", Remedy: "Do it."}})
	if got, want := text(r.Sites[0].Checks), "! load: of a [hosts: x, y]\n"; got != want {
		t.Errorf("expected %q, seen %q", want, got)
	}
	if got, want := text(r.Checks), "! load: of all\n! site: of b → Do it.\n"; got != want {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

// files is a storage in memory. broken names the operation that fails.
type files struct {
	clusterstore.Storage
	broken string
	kept   map[string][]byte
}

var errBroken = errors.New("broken")

func (f *files) Store(_ context.Context, key string, value []byte) error {
	if f.broken == "store" {
		return errBroken
	}
	f.kept[key] = value
	return nil
}

func (f *files) Load(_ context.Context, key string) ([]byte, error) {
	if f.broken == "load" {
		return nil, errBroken
	}
	value, ok := f.kept[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if f.broken == "value" {
		return []byte("other"), nil
	}
	return value, nil
}

func (f *files) Delete(_ context.Context, key string) error {
	if f.broken == "delete" {
		return errBroken
	}
	delete(f.kept, key)
	return nil
}

func TestStorage(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ broken, says string }{
		{"", "✔ storage: redis can be written; several nodes have to share it"},
		{"store", "✘ storage: redis: cannot be written: broken → "},
		{"load", "✘ storage: redis: cannot be read: broken → "},
		{"value", "✘ storage: redis: does not return what was written → "},
		{"delete", "cannot be deleted: broken → "},
	} {
		f := &files{broken: row.broken, kept: make(map[string][]byte)}
		s := &Storage{Storage: f, Kind: "redis"}
		if got := text([]Check{s.Examine(t.Context())}); !strings.Contains(got, row.says) {
			t.Errorf("%q: expected %q, seen %q", row.broken, row.says, got)
		}
		if row.broken != "delete" && len(f.kept) > 0 {
			t.Errorf("%q: expected nothing to be left, seen %d keys", row.broken, len(f.kept))
		}
	}
	missing := &Storage{Kind: "file_system", Folder: "/x", Missing: true}
	if got := text([]Check{missing.Examine(t.Context())}); !strings.HasPrefix(got, "· storage: file_system /x is not there yet") {
		t.Errorf("expected that the folder is missing, seen %q", got)
	}
}
