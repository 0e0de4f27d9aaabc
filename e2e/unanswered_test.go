package e2e

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// The answers to these requests never reach the browser.

// send sends the request of a page load without waiting. The channel receives the error,
// or nil if there was an answer.
func (b *browser) send(method, target string, fields url.Values) <-chan error {
	b.t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	pageLoad(r, "none", nil)
	for _, c := range b.jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	gone := make(chan error, 1)
	go func() {
		answer, err := b.http.Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		gone <- err
	}()
	return gone
}

// sendUnread sends the request of a page load and never reads the answer.
func (b *browser) sendUnread(target string) {
	b.t.Helper()
	conn, err := net.Dial("tcp", mustParse(b.w.base).Host)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	pageLoad(r, "none", nil)
	for _, c := range b.jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	if err := r.Write(conn); err != nil {
		b.t.Fatal(err)
	}
}
