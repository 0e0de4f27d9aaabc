package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// trailerEcho makes the application respond with the names of the trailers it received.
func trailerEcho(r *harness) {
	r.upstream.mu.Lock()
	defer r.upstream.mu.Unlock()
	r.upstream.answer = func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		fmt.Fprintf(w, "%v", slices.Sorted(maps.Keys(q.Trailer)))
	}
}

const trailerSite = `oidc_rp public {
	PROVIDER
	upstream {
		header X-User {http.auth.user.id}
		access_token
	}
	private /private
}
`

// Go merges trailers into the request when the body ends, whether they were announced or not.
// Trailers that could carry an identity do not reach the application.
func TestTrailersBringNoIdentity(t *testing.T) {
	t.Parallel()
	r := newHarness(t, strings.ReplaceAll(trailerSite, "PROVIDER", options(newOP(t))))
	trailerEcho(r)
	b := r.browser()
	b.open("/private")
	send := func(path, announced, trailers string) string {
		conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(conn, rawRequest("POST "+path+" HTTP/1.1", "Host: rp.test", "Connection: close", "Cookie: "+b.cookieHeader(), announced, "Transfer-Encoding: chunked"))
		fmt.Fprint(conn, rawRequest("5", "hello", "0", trailers))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	forged := fields(
		"X-User: admin", "x_user: admin", "X.User: admin", "Authorization: Bearer forged", "Cookie: __Host-oidc_rp=1x", "X-Forwarded-For: ::1", "Forwarded: for=x",
		"X-Original-URL: /admin", "Sec-Fetch-Site: none", "Upgrade: h2c", "Content-Type: text/html", "X-Sum: 5", "Grpc-Status: 0", "Content-Digest: x",
	)
	const harmless = "[Content-Digest Grpc-Status X-Sum]"
	for _, announced := range []string{"Trailer: X-Sum", "Trailer: X-User, X-Sum, Authorization, Cookie, X-Forwarded-For", fields("Trailer: X-User", "Trailer: x_user")} {
		for _, path := range []string{"/x", "/private"} {
			equal(t, fmt.Sprintf("%s %q: the trailers at the application", path, announced), send(path, announced, forged), harmless)
		}
	}
	if got := send("/x", "", forged); got != "[]" && got != harmless {
		t.Errorf("nothing announced: the application gets the trailers %s", got)
	}
}

// Trailers over HTTP/2 are filtered as well.
func TestTrailersOverHTTP2BringNoIdentity(t *testing.T) {
	t.Parallel()
	r := newHarness(t, strings.ReplaceAll(trailerSite, "PROVIDER", options(newOP(t))))
	trailerEcho(r)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Server{Handler: r.server.Config.Handler, Protocols: protocols}
	go func() { _ = h2.Serve(listener) }()
	t.Cleanup(func() { h2.Close() })
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	body := struct{ io.Reader }{strings.NewReader("hello")}
	request, err := http.NewRequest(http.MethodPost, "http://"+listener.Addr().String()+"/x", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "rp.test"
	request.Trailer = http.Header{"X-User": {"admin"}, "X_user": {"admin"}, "X-Forwarded-For": {"::1"}, "Cookie": {"__Host-oidc_rp=1x"}, "X-Sum": {"5"}}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, _ := io.ReadAll(answer.Body)
	equal(t, "the version of HTTP", answer.ProtoMajor, 2)
	equal(t, "the trailers at the application", string(got), "[X-Sum]")
}
