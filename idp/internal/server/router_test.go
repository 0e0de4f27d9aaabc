package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheRouterAnswersEveryRequest(t *testing.T) {
	t.Parallel()
	name := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				io.WriteString(w, "too large")
				return
			}
			io.WriteString(w, name)
		}
	}
	routes := []route{
		{path: "/jwks", methods: get, serve: name("jwks")},
		{path: "/token", methods: post, serve: name("token")},
		{path: "/authorize", methods: getOrPost, serve: name("authorize")},
		{path: "/saml/", methods: getOrPost, maxBody: 256 << 10, serve: name("saml")},
		{path: "/signin/", methods: anyMethod, serve: name("signin")},
	}
	handler := newRouter(routes, name("missing"), name("wrong"))
	for _, test := range []struct {
		method, path, want, allow string
		body                      int
	}{
		{"GET", "/jwks", "jwks", "", 0},
		{"HEAD", "/jwks", "jwks", "", 0},
		{"POST", "/jwks", "wrong", "HEAD, GET", 0},
		{"OPTIONS", "/jwks", "wrong", "HEAD, GET", 0},
		{"GET", "/token", "wrong", "POST", 0},
		{"HEAD", "/token", "wrong", "POST", 0},
		{"POST", "/token", "token", "", maxBody},
		{"POST", "/token", "too large", "", maxBody + 1},
		{"POST", "/authorize?x=y", "authorize", "", 0},
		{"DELETE", "/authorize", "wrong", "HEAD, GET, POST", 0},
		{"POST", "/saml/partners/acs", "saml", "", 256 << 10},
		{"PATCH", "/signin/x", "signin", "", 0},
		{"GET", "/signin/", "missing", "", 0},
		{"GET", "/signin", "missing", "", 0},
		{"GET", "/", "missing", "", 0},
		{"GET", "/jwks/", "missing", "", 0},
		{"GET", "//jwks", "missing", "", 0},
		{"GET", "/x/../jwks", "missing", "", 0},
		{"GET", "/%6awks", "missing", "", 0},
		{"GET", "/JWKS", "missing", "", 0},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			r := httptest.NewRequest(test.method, test.path, strings.NewReader(strings.Repeat("x", test.body)))
			handler.ServeHTTP(w, r)
			if got := w.Body.String(); got != test.want {
				t.Errorf("expected %s, seen %s", test.want, got)
			}
			if got := w.Header().Get("Allow"); got != test.allow {
				t.Errorf("expected Allow %q, seen %q", test.allow, got)
			}
		})
	}
}
