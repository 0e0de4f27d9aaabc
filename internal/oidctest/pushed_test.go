package oidctest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestPushedRequestViolations(t *testing.T) {
	t.Parallel()
	p := New(t, PushedRequests(), WithClient(Client{ID: "rp", Secret: "a-secret", Auth: "client_secret_post"}))
	push := func(change url.Values) int {
		form := url.Values{"client_id": {"rp"}, "client_secret": {"a-secret"}}
		for name, values := range change {
			form[name] = values
		}
		response, err := p.HTTPClient().PostForm(p.URL(PushedRequest), form)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if status := push(nil); status != http.StatusCreated {
		t.Errorf("an honest request: expected status 201, seen %d", status)
	}
	if got := p.TakeViolations(); len(got) != 0 {
		t.Errorf("an honest request: expected no violations, seen %q", got)
	}
	for name, row := range map[string]struct {
		change url.Values
		id     string
		status int
	}{
		"a wrong secret":           {url.Values{"client_secret": {"another"}}, "C00j", http.StatusUnauthorized},
		"a reference to a request": {url.Values{"request_uri": {"urn:x"}}, "F01", http.StatusBadRequest},
	} {
		if status := push(row.change); status != row.status {
			t.Errorf("%s: status %d", name, status)
		}
		expect(t, p, row.id)
	}
	for name, query := range map[string]string{
		"not pushed":          "client_id=rp&response_type=code",
		"more beside it":      "client_id=rp&request_uri=urn:x&scope=openid",
		"a client that is no": "request_uri=urn:x",
	} {
		response, err := p.HTTPClient().Get(p.URL(Authorize) + "?" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: expected status 400, seen %d", name, response.StatusCode)
		}
		got := p.TakeViolations()
		if len(got) == 0 {
			t.Fatalf("%s: expected a violation, seen none", name)
		}
		if !strings.HasPrefix(got[0], "F01: ") {
			t.Errorf("%s: expected a violation of F01, seen %q", name, got)
		}
	}
}
