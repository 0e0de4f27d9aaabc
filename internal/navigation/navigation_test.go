package navigation

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// kinds are the results of the package's functions for a request.
type kinds struct{ pageLoad, navigation, subresource, wantsPage bool }

func TestWhatARequestIsFor(t *testing.T) {
	t.Parallel()
	const html = "text/html,application/xhtml+xml"
	for _, row := range []struct {
		name, method string
		header       string // name: value; …
		want         kinds
	}{
		{"a link", "GET", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document; Sec-Fetch-Site: cross-site", kinds{true, true, false, true}},
		{"HEAD of a page", "HEAD", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document", kinds{true, true, false, true}},
		{"a mode without a destination", "GET", "Accept: text/html; Sec-Fetch-Mode: navigate", kinds{true, true, false, true}},
		{"a browser without fetch metadata", "GET", "Accept: " + html, kinds{true, true, false, true}},
		{"jQuery without fetch metadata", "GET", "Accept: text/html; X-Requested-With: XMLHttpRequest", kinds{false, false, false, true}},
		{"a form", "POST", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document", kinds{false, true, false, true}},
		{"a form of an old browser", "POST", "Accept: text/html", kinds{false, true, false, true}},
		{"what no form sends", "PUT", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document", kinds{false, false, false, true}},
		{"a frame", "GET", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: iframe", kinds{false, true, true, true}},
		{"an embedded object", "GET", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: object", kinds{false, true, true, true}},
		{"a page in advance", "GET", "Accept: text/html; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document; Sec-Purpose: prefetch", kinds{false, false, true, true}},
		{"an image", "GET", "Accept: image/*; Sec-Fetch-Mode: no-cors; Sec-Fetch-Dest: image", kinds{false, false, true, false}},
		{"a fetch that accepts HTML", "GET", "Accept: text/html; Sec-Fetch-Mode: cors; Sec-Fetch-Dest: empty", kinds{false, false, true, false}},
		{"only the site", "GET", "Accept: text/html; Sec-Fetch-Site: cross-site", kinds{false, false, true, true}},
		{"a program", "GET", "Accept: */*", kinds{false, false, false, true}},
		{"a program that accepts nothing by name", "GET", "", kinds{false, false, false, true}},
		{"a program that accepts JSON", "GET", "Accept: application/json", kinds{false, false, false, false}},
		{"a program that accepts HTML and JSON", "GET", "Accept: text/html, application/json", kinds{true, true, false, true}},
	} {
		r := httptest.NewRequest(row.method, "/", nil)
		for field := range strings.SplitSeq(row.header, "; ") {
			if name, value, ok := strings.Cut(field, ": "); ok {
				r.Header.Set(name, value)
			}
		}
		if got := (kinds{IsPageLoad(r), IsNavigation(r), IsSubresource(r), WantsPage(r)}); got != row.want {
			t.Errorf("%s: expected %+v, seen %+v", row.name, row.want, got)
		}
	}
}

func TestPreflightsHaveNoBody(t *testing.T) {
	t.Parallel()
	preflight := func() *http.Request {
		r := httptest.NewRequest(http.MethodOptions, "/", nil)
		r.Header.Set("Origin", "https://shop.test")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		return r
	}
	for name, row := range map[string]struct {
		change func(*http.Request)
		want   bool
	}{
		"as browsers send it": {func(*http.Request) {}, true},
		"another method":      {func(r *http.Request) { r.Method = http.MethodGet }, false},
		"without an origin":   {func(r *http.Request) { r.Header.Del("Origin") }, false},
		"without a method":    {func(r *http.Request) { r.Header.Del("Access-Control-Request-Method") }, false},
		"with a body":         {func(r *http.Request) { r.ContentLength = 1 }, false},
		"of unknown length":   {func(r *http.Request) { r.ContentLength = -1 }, false},
		"in chunks":           {func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, false},
	} {
		r := preflight()
		row.change(r)
		if got := IsPreflight(r); got != row.want {
			t.Errorf("%s: expected %v, seen %v", name, row.want, got)
		}
	}
}

func TestOnlyGETAndHEADRead(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "POST": false, "OPTIONS": false, "PROPFIND": false, "get": false} {
		if got := IsRead(httptest.NewRequest(method, "/", nil)); got != want {
			t.Errorf("%s: expected %v, seen %v", method, want, got)
		}
	}
}
