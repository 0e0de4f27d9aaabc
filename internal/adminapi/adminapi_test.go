package adminapi

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReadBody(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ body, want string }{
		{`{"subject": "a"}`, ""},
		{"{}", ""},
		{"", ""},
		{`{"subject": "a"} {}`, "something follows the object"},
		{`{"subject": "a"`, "unexpected EOF"},
		{`{"user": "a"}`, `unknown field "user"`},
		{`{"subject": 7}`, "subject: does not take a JSON number"},
		{`["a"]`, "the body: does not take a JSON array"},
		{`{"subject": "` + strings.Repeat("a", maxBody) + `"}`, "http: request body too large"},
	} {
		var request RevokeRequest
		err := ReadBody(httptest.NewRequest("POST", RevokePath, strings.NewReader(row.body)), &request)
		if row.want == "" {
			if err != nil {
				t.Errorf("%.40s: expected no error, seen %v", row.body, err)
			}
			continue
		}
		var failed Error
		if !errors.As(err, &failed) {
			t.Errorf("%.40s: expected an error with a status, seen %#v", row.body, err)
			continue
		}
		if failed.Status != 400 {
			t.Errorf("%.40s: expected status 400, seen %d", row.body, failed.Status)
		}
		if failed.Error() != row.want {
			t.Errorf("%.40s: expected %q, seen %q", row.body, row.want, failed)
		}
	}
}
