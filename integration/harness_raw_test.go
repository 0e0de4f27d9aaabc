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

// rawRequest is the head of a request or an answer as it goes over the wire: its
// lines, and an empty one. A line may be several already.
func rawRequest(lines ...string) string {
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), crlf) + crlf + crlf
}

// fields are some lines of a head in one text.
func fields(lines ...string) string { return strings.Join(lines, crlf) }

const crlf = "\r\n"

// raw sends the lines of a request as they are, which client libraries would
// tidy up, and returns the answer.
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

// rawGet sends a GET request to the site, with more lines of a header.
func (r *harness) rawGet(target string, header ...string) *visited {
	r.t.Helper()
	return r.raw(append([]string{"GET " + target + " HTTP/1.1", "Host: rp.test", "Connection: close"}, header...)...)
}
