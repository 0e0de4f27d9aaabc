package oidctest

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Forever is a Delay that ends only when the client gives up.
const Forever = time.Duration(1<<63 - 1)

// Fault is a fault in sending a correct answer to the client. The zero value
// sends the answer unchanged. Several fields take effect in the order of their
// declaration, as far as the combination makes sense.
type Fault struct {
	// When reports whether the fault applies to the given hit of the endpoint,
	// counted from 1. Default: to all.
	When func(hit int) bool
	// Hold is called first. A test may wait in it, or inspect the request.
	Hold func(r *http.Request)
	// Instead serves the request. Nothing is checked, and no code is spent.
	Instead http.Handler
	// Delay is the time before the first byte.
	Delay time.Duration
	// Drop closes the connection without an answer. Reset does so with a TCP
	// reset, or with RST_STREAM in HTTP/2.
	Drop, Reset bool

	// Status and ContentType replace, and Header and Body edit, those of the
	// correct answer. A response with status 500 thus has the correct body, and
	// must be refused nevertheless.
	Status      int
	ContentType string
	Header      func(header http.Header)
	Body        func(honest []byte) []byte
	// GzipBomb puts this number of spaces before the body and compresses the
	// result. The client must accept gzip, as http.Transport does.
	GzipBomb int64
	// Endless writes spaces after the body until the client closes the
	// connection.
	Endless bool
	// Drip is the pause after each byte of the body.
	Drip time.Duration
	// Chunked sends no Content-Length. Length is added to the Content-Length,
	// which is then too small if Length is negative, and too large if it is
	// positive.
	Chunked bool
	Length  int
	// Cut closes the connection after CutAfter bytes of the body. With 0, only
	// the headers are sent.
	Cut      bool
	CutAfter int
}

// Redirects makes the endpoint respond with a redirect.
func (f *Fault) Redirects(status int, location string) {
	f.Status = status
	f.Header = func(h http.Header) { h.Set("Location", location) }
}

// Replace replaces the body and its type.
func (f *Fault) Replace(contentType, body string) {
	f.ContentType = contentType
	f.Body = func([]byte) []byte { return []byte(body) }
}

// endlessLimit limits even endless answers, in bytes. If a client has no limit
// of its own, the test fails because of SentBytes and does not run into a
// timeout.
const endlessLimit = 1 << 28

// send writes the answer, and adds the number of bytes of the body that it
// could write to sent.
func (f Fault) send(w http.ResponseWriter, r *http.Request, a answer, done <-chan struct{}, sent *int64) {
	if f.Delay > 0 && !pause(f.Delay, r, done) {
		panic(http.ErrAbortHandler)
	}
	if f.Drop || f.Reset {
		hangUp(w, f.Reset)
	}
	f.change(&a)
	if f.Length < 0 && shorten(w, a, f.Length) {
		*sent += int64(max(len(a.body)+f.Length, 0))
		return
	}
	f.sendHeader(w, a)
	f.sendBody(w, r, a.body, done, sent)
	if f.Endless {
		sendSpaces(w, r, sent)
	}
}

// change applies Status, ContentType, Body, GzipBomb and Header to the answer.
func (f Fault) change(a *answer) {
	if f.Status != 0 {
		a.status = f.Status
	}
	if f.ContentType != "" {
		a.header.Set("Content-Type", f.ContentType)
	}
	if f.Body != nil {
		a.body = f.Body(a.body)
	}
	if f.GzipBomb > 0 {
		a.body = gzipBomb(f.GzipBomb, a.body)
		a.header.Set("Content-Encoding", "gzip")
	}
	if f.Header != nil {
		f.Header(a.header)
	}
}

func (f Fault) sendHeader(w http.ResponseWriter, a answer) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if f.Chunked || f.Endless {
		w.Header().Del("Content-Length")
	} else if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+max(f.Length, 0)))
	}
	w.WriteHeader(a.status)
}

// sendBody writes the body according to Cut, Drip, Length and Chunked.
func (f Fault) sendBody(w http.ResponseWriter, r *http.Request, body []byte, done <-chan struct{}, sent *int64) {
	if f.Cut {
		body = body[:min(max(f.CutAfter, 0), len(body))]
	}
	flush := http.NewResponseController(w).Flush
	if f.Drip > 0 {
		for i := range body {
			if n, err := w.Write(body[i : i+1]); err != nil || n == 0 || flush() != nil || !pause(f.Drip, r, done) {
				panic(http.ErrAbortHandler)
			}
			*sent++
		}
	} else {
		n, _ := w.Write(body)
		*sent += int64(n)
	}
	if f.Cut || f.Length > 0 {
		_ = flush() // send what there is; the rest never follows
		panic(http.ErrAbortHandler)
	}
	if f.Chunked {
		_ = flush()
	}
}

// sendSpaces writes spaces until the client closes the connection, or up to
// endlessLimit.
func sendSpaces(w http.ResponseWriter, r *http.Request, sent *int64) {
	spaces := bytes.Repeat([]byte{' '}, 1<<14)
	for *sent < endlessLimit && r.Context().Err() == nil {
		n, err := w.Write(spaces)
		*sent += int64(n)
		if err != nil {
			break
		}
	}
}

// pause waits. It returns false if the client or the provider is gone before
// the time is up.
func pause(d time.Duration, r *http.Request, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-done:
	}
	return false
}

// hangUp closes the connection immediately. It does not return.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		raw := conn
		if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
			raw = t.NetConn() // without a close_notify of TLS
		}
		if tcp, ok := raw.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = raw.Close()
	}
	panic(http.ErrAbortHandler) // for HTTP/2 and memory, the server aborts the response
}

// shorten sends a Content-Length that is too small, which net/http would not
// allow. It does not send the rest of the body, since net/http's client would
// log a message about it on standard error. It returns false if the connection
// cannot be hijacked.
func shorten(w http.ResponseWriter, a answer, by int) bool {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	defer conn.Close()
	body := a.body[:max(len(a.body)+by, 0)]
	a.header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = buf.WriteString("HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\n")
	_ = a.header.Write(buf)
	_, _ = buf.WriteString("\r\n")
	_, _ = buf.Write(body)
	_ = buf.Flush()
	return true
}

// gzipBomb compresses n spaces, followed by the body. It repeats one compressed
// block, because gzip members may be concatenated (RFC 1952, section 2.2).
func gzipBomb(n int64, body []byte) []byte {
	const block = 1 << 20
	pack := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	bomb := bytes.Repeat(pack(bytes.Repeat([]byte{' '}, block)), int(n/block))
	bomb = append(bomb, pack(bytes.Repeat([]byte{' '}, int(n%block)))...)
	return append(bomb, pack(body)...)
}
