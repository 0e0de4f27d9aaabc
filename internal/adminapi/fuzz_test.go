package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
)

// An accepted body is one object with known members. All others get status 400.
func FuzzReadBody(f *testing.F) {
	for _, body := range []string{``, `{}`, `{"subject":"u"}`, `{"all":true,"all":false}`, `{"sid":1}`, `{"x":1}`, `{} {}`, `[]`, `null`, `{"subject":"u"`, "\xff", `"x"`, `{"ALL":true}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var q RevokeRequest
		err := ReadBody(httptest.NewRequest(http.MethodPost, RevokePath, strings.NewReader(body)), &q)
		if err != nil {
			var refused Error
			if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
				t.Errorf("%q: expected a 400, seen %v", body, err)
			}
			return
		}
		if strings.TrimSpace(body) != "" && !json.Valid([]byte(body)) {
			t.Errorf("%q: accepted, and not JSON", body)
		}
		if _, err := q.Check(nil); err == nil && !q.All {
			t.Errorf("%q: expected that it ends nothing without a provider, seen %+v", body, q)
		}
		again, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var same RevokeRequest
		if err := ReadBody(httptest.NewRequest(http.MethodPost, RevokePath, bytes.NewReader(again)), &same); err != nil || same != q {
			t.Errorf("%+v comes back as %+v, %v", q, same, err)
		}
	})
}

// Whatever the admin API responds, the command prints no control characters to the
// terminal.
func FuzzTables(f *testing.F) {
	for _, data := range []string{
		`{"providers":[{"id":"a\u001b[2J","issuer":"x\ny","metadata":{"state":"failing","error":"\u009b31m"}}]}`, `{"ended":[{"kind":"all"},{"kind":"sid","issuer":"\t"}]}`,
		`{"rings":[{"from":"storage","sites":["a\r"],"keys":[{"id":"\u0007"}],"note":"\u0000"}]}`, `{}`, `null`, `[]`, `{"providers":[{"metadata":{"read":"9999-12-31T23:59:59Z"}}]}`,
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		for name, print := range map[string]func(io.Writer, []byte) error{"providers": PrintProviders, "revoked": PrintRevoked, "keys": PrintKeys} {
			var out strings.Builder
			if print(&out, []byte(data)) != nil {
				continue
			}
			if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
				t.Errorf("%s of %q: expected no control characters, seen %q", name, data, out.String())
			}
		}
	})
}
