package integration_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// forPrograms is a site that accepts access keys of application users.
const forPrograms = `
http://app.test {
	oidc_rp {
		builtin
		require group ci
		application {
			access_keys builtin
			basic on
		}
	}
	respond "application sees {http.auth.user.id} in {http.auth.user.groups}"
}
`

// ask sends a request with header lines and returns the status and the body.
func (h *harness) ask(address string, header ...string) (status int, body string) {
	h.t.Helper()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.running().handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// addKey adds an access key of an application.
func (h *harness) addKey(application string, expiresIn time.Duration) (id, key string) {
	h.t.Helper()
	var added struct{ ID, Key string }
	h.operate("key/add", map[string]any{"application": application, "expires_in": int64(expiresIn.Seconds())}, &added)
	return added.ID, added.Key
}

// Access keys of the provider give access to a site, under the same rules as for people, as
// long as the key and its application are valid.
func TestAnApplicationUserGetsInByItsAccessKey(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		groups   []string
		then     func(h *harness, id string)
		expected int
	}{
		"an application in the group":     {[]string{"ci"}, nil, http.StatusOK},
		"an application in another group": {[]string{"staff"}, nil, http.StatusForbidden},
		"an application that was removed": {[]string{"ci"}, func(h *harness, _ string) {
			h.operate("application/remove", map[string]any{"user": "robot", "yes": true}, nil)
		}, http.StatusUnauthorized},
		"an application that was locked": {[]string{"ci"}, func(h *harness, _ string) { h.operate("user/lock", map[string]any{"user": "robot"}, nil) }, http.StatusUnauthorized},
		"an access key that was removed": {[]string{"ci"}, func(h *harness, id string) {
			h.operate("key/remove", map[string]any{"application": "robot", "id": id}, nil)
		}, http.StatusUnauthorized},
		"an access key that is over":    {[]string{"ci"}, func(h *harness, _ string) { h.pass(91 * 24 * time.Hour) }, http.StatusUnauthorized},
		"an access key, a reload later": {[]string{"ci"}, func(h *harness, _ string) { h.reload(forPrograms) }, http.StatusOK},
		"an application that left a group": {[]string{"ci"}, func(h *harness, _ string) {
			h.operate("user/set", map[string]any{"user": "robot", "groups": []string{"staff"}}, nil)
		}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, forPrograms)
			h.operate("application/add", map[string]any{"name": "robot", "groups": row.groups}, nil)
			id, key := h.addKey("robot", 90*24*time.Hour)
			bearer := "Authorization: Bearer " + key
			if row.then != nil {
				if status, body := h.ask(appURL+"/page", bearer); status != http.StatusOK || body != "application sees key/robot in ci" {
					t.Fatalf("at first: expected key/robot in ci to be let in, seen %d: %s", status, body)
				}
				row.then(h, id)
				h.pass(3 * time.Second)
			}
			if status, body := h.ask(appURL+"/page", bearer); status != row.expected {
				t.Errorf("expected status %d, seen %d: %s", row.expected, status, body)
			}
		})
	}
}

// An access key is no password: an application cannot sign in on the pages.
func TestAnAccessKeySignsNoPersonIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t, forPrograms)
	h.operate("application/add", map[string]any{"name": "robot", "groups": []string{"ci"}}, nil)
	_, key := h.addKey("robot", time.Hour)
	b := h.browser()
	b.get(appURL+"/page").submit("username", "robot").expect(`name="password"`)
	b.submit("password", key).at(h.idpURL + "/signin/").expect(`name="password"`)
}
