package pages

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		problem Problem
		status  int
		want    string
	}{
		{Problem{Detail: "This page is for signed-in users.", Reason: "sign_in_required", LoginURL: "/@app/auth/default/login"}, 401,
			`{"detail":"This page is for signed-in users.","login_url":"/@app/auth/default/login","reason":"sign_in_required","status":401,"title":"Unauthorized","type":"about:blank"}`},
		{Problem{Detail: "<b>", Reason: "bad_request", ErrorID: "0a1b2c3d"}, 403,
			`{"detail":"\u003cb\u003e","error_id":"0a1b2c3d","reason":"bad_request","status":403,"title":"Forbidden","type":"about:blank"}`},
	} {
		recorder := httptest.NewRecorder()
		if err := row.problem.Write(recorder, row.status); err != nil {
			t.Fatal(err)
		}
		if got := recorder.Body.String(); got != row.want+"\n" {
			t.Errorf("expected %s, seen %s", row.want, got)
		}
		if got := recorder.Header().Get("Content-Type"); recorder.Code != row.status || got != "application/problem+json" {
			t.Errorf("expected status %d, application/problem+json, seen %d, %s", row.status, recorder.Code, got)
		}
		if got := recorder.Header().Get("Content-Security-Policy"); got != "default-src 'none'; frame-ancestors 'none'; base-uri 'none'" {
			t.Errorf("policy: seen %q", got)
		}
	}
}

func TestRedirectsKeepTheAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"/a/../b", "https://op.test//x?y#", "/%2e%2e/x"} {
		recorder := httptest.NewRecorder()
		if err := Redirect(recorder, http.StatusSeeOther, address); err != nil {
			t.Fatal(err)
		}
		if got := recorder.Header().Get("Location"); recorder.Code != http.StatusSeeOther || got != address {
			t.Errorf("expected status 303 to %q, seen %d to %q", address, recorder.Code, got)
		}
		if got := recorder.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control: expected no-store, seen %q", got)
		}
	}
}
