package adminapi

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name           string
		print          func(io.Writer, []byte) error
		data, expected string
	}{
		{"providers", PrintProviders, `{"providers": [
			{"id": "corp", "issuer": "https://corp.test", "sites": ["a.test", "b.test"],
				"metadata": {"state": "failing", "failed": "2026-01-02T03:04:05Z", "error": "refused"},
				"keys": {"state": "ok", "read": "2026-01-02T03:04:05Z", "usable": 2}},
			{"id": "off", "issuer": "https://off.test", "disabled": true, "metadata": {"state": "unknown"}, "keys": {"state": "unknown"}}
		]}`, `
PROVIDER        METADATA  READ  KEYS     READ                  COUNT  SITES          ISSUER
corp            failing   -     ok       2026-01-02T03:04:05Z  2      a.test,b.test  https://corp.test
off (disabled)  unknown   -     unknown  -                     0      -              https://off.test
corp: metadata failed at 2026-01-02T03:04:05Z: refused
`},
		{"revocation of a subject", PrintRevoked, `{"ended": [{"kind": "subject", "issuer": "https://corp.test", "providers": ["a", "b"]}]}`, `
REVOKED  PROVIDERS  ISSUER
subject  a,b        https://corp.test
Sessions of this subject that began before now end, on all instances within five seconds.
Whether there were any is not known: browsers keep sessions in cookies, which cannot be counted.
`},
		{"revocation of a sid", PrintRevoked, `{"ended": [{"kind": "sid", "issuer": "https://corp.test", "providers": ["a"]}]}`, `
REVOKED  PROVIDERS  ISSUER
sid      a          https://corp.test
Sessions of this provider session that began before now end, on all instances within five seconds.
Whether there were any is not known: browsers keep sessions in cookies, which cannot be counted.
`},
		{"revocation of all", PrintRevoked, `{"ended": [{"kind": "all"}]}`, `
REVOKED  PROVIDERS  ISSUER
all      -          -
All sessions that began before now end, on all instances within five seconds.
Whether there were any is not known: browsers keep sessions in cookies, which cannot be counted.
`},
		{"keys", PrintKeys, `{"rings": [
			{"from": "storage", "sites": ["a.test"], "rotate": "168h0m0s", "made": true, "keys": [
				{"id": "01", "state": "sealing", "created": "2026-01-02T03:04:05Z", "seals_from": "2026-01-02T03:07:05Z", "opens_until": "2026-02-02T03:04:05Z"}]},
			{"from": "secret", "sites": ["b.test"], "keys": [{"id": "02", "state": "sealing"}], "note": "a note"}
		]}`, `
KEY  FROM     STATE    CREATED               SEALS FROM            OPENS UNTIL           ROTATES   SITES
01   storage  sealing  2026-01-02T03:04:05Z  2026-01-02T03:07:05Z  2026-02-02T03:04:05Z  168h0m0s  a.test
02   secret   sealing  -                     -                     -                     -         b.test
a new key was made for a.test
a note
`},
	} {
		var out bytes.Buffer
		if err := row.print(&out, []byte(row.data)); err != nil {
			t.Fatal(err)
		}
		if seen := "\n" + out.String(); seen != row.expected {
			t.Errorf("%s: expected%s\nseen%s", row.name, row.expected, seen)
		}
	}
}

// A provider controls its errors and parts of its issuer.
func TestTablesHoldNoControlCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := PrintProviders(&out, []byte(`{"providers":[{"id":"corp","issuer":"a\u001b[2Jb","metadata":{"state":"failing","error":"x\u001b]0;\u0007\r\n\u009by"},"keys":{"state":"ok"}}]}`)); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\a\r\u009b") {
		t.Errorf("expected no control characters, seen %q", out.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("expected 3 lines, seen %d: %q", lines, out.String())
	}
}

func TestTablesRefuseOtherDocuments(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		print func(io.Writer, []byte) error
		data  string
	}{
		{"providers", PrintProviders, "[]"}, {"revocations", PrintRevoked, "7"}, {"keys", PrintKeys, `"x"`},
	} {
		if err := row.print(io.Discard, []byte(row.data)); err == nil {
			t.Errorf("%s: expected an error about %s", row.name, row.data)
		}
	}
}
