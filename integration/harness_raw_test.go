package integration_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// rawRequest returns the head of a request or response as it is sent: its lines and an empty
// one. Each argument may have several lines.
func rawRequest(lines ...string) string {
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), crlf) + crlf + crlf
}

// fields joins lines of a head.
func fields(lines ...string) string { return strings.Join(lines, crlf) }

const crlf = "\r\n"

// raw sends the lines of a request unchanged, which client libraries would normalize, and
// returns the response.
func (r *harness) raw(lines ...string) *visited {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(rawRequest(lines...))); err != nil {
		r.t.Fatal(err)
	}
	method, rest, _ := strings.Cut(lines[0], " ")
	target, _, _ := strings.Cut(rest, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return &visited{response, string(body), rpURL + target}
}

// rawGet sends a GET request to the site with more header lines.
func (r *harness) rawGet(target string, header ...string) *visited {
	r.t.Helper()
	return r.raw(append([]string{"GET " + target + " HTTP/1.1", "Host: rp.test", "Connection: close"}, header...)...)
}
