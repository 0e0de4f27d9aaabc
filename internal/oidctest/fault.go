package oidctest

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Forever is a Delay that ends only with the client's patience: a black hole.
const Forever = time.Duration(1<<63 - 1)

// Fault is what goes wrong between a right answer and the client. The zero
// value sends the answer as it is. Several together work in the order of the
// fields, as far as they make sense together.
type Fault struct {
	// When says for which hits of the endpoint, counted from 1, it is there.
	When func(hit int) bool
	// Hold is called before all else: a test may wait in it, or look.
	Hold func(r *http.Request)
	// Instead takes over; no check is made and no code is spent.
	Instead http.Handler
	// Delay is the time before the first byte.
	Delay time.Duration
	// Drop closes the connection without an answer, Reset does it with a TCP
	// reset, or RST_STREAM in HTTP/2.
	Drop, Reset bool

	// Status, ContentType, Header and Body replace or edit those of the honest
	// answer: a 500 keeps the right body, and must be refused all the same.
	Status      int
	ContentType string
	Header      func(header http.Header)
	Body        func(honest []byte) []byte
	// GzipBomb puts so many spaces before the body and compresses the whole,
	// for a client that said it can undo that (any http.Transport).
	GzipBomb int64
	// Endless keeps writing spaces after the body, until the client has enough.
	Endless bool
	// Drip is the pause after each byte of the body (X14).
	Drip time.Duration
	// Chunked sends no Content-Length. Length is added to it: a negative one is
	// too short, a positive one too long (X16).
	Chunked bool
	Length  int
	// Cut ends the connection after CutAfter bytes of the body; 0 is headers
	// alone (X15).
	Cut      bool
	CutAfter int
}

// Redirects makes the fault a redirect.
func (f *Fault) Redirects(status int, location string) {
	f.Status = status
	f.Header = func(h http.Header) { h.Set("Location", location) }
}

// Replace makes the fault another body.
func (f *Fault) Replace(contentType, body string) {
	f.ContentType = contentType
	f.Body = func([]byte) []byte { return []byte(body) }
}

// endlessLimit is where even an endless answer ends, should a client have no
// limit at all: the test then fails by what SentBytes says, not by time.
const endlessLimit = 1 << 28

// send writes the answer, and counts the bytes of the body that it got rid of.
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

// change puts what the fault says in the place of parts of the answer.
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

// sendBody writes the body as the fault has it: byte after byte, or not all.
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
		_ = flush() // what was promised is on its way, the rest never comes
		panic(http.ErrAbortHandler)
	}
	if f.Chunked {
		_ = flush()
	}
}

// sendSpaces writes spaces until the client has enough.
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

// pause waits, and reports whether anybody is still there.
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

// hangUp ends the connection at once and does not return.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		raw := conn
		if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
			raw = t.NetConn() // below TLS, which would say goodbye
		}
		if tcp, ok := raw.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = raw.Close()
	}
	panic(http.ErrAbortHandler) // HTTP/2 and memory: the server's own way
}

// shorten sends a Content-Length that is smaller than the body, which net/http
// would not let pass. The rest is not sent: a client does not read it, but
// net/http would complain of it on standard error.
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

// gzipBomb compresses n spaces, and then the body. Gzip may be concatenated
// (RFC 1952 section 2.2), so one compressed block serves many times.
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
