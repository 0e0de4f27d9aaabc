package streams

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// This file ends HTTP responses that have already begun.

// endWithin is how long a handler may take to return after its context ended. After
// that its connection is cut off.
const endWithin = 500 * time.Millisecond

// IsEventStream reports whether a Content-Type is that of server-sent events.
func IsEventStream(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	name, _, _ := strings.Cut(contentType[0], ";")
	return strings.EqualFold(strings.TrimSpace(name), eventStream)
}

// AcceptsEvents reports whether a client accepts server-sent events.
func AcceptsEvents(accept []string) bool {
	for _, line := range accept {
		if strings.Contains(line, eventStream) {
			return true
		}
	}
	return false
}

const eventStream = "text/event-stream"

// Response is an HTTP response that is a stream, or may become one.
type Response struct {
	// Check reports whether the stream may continue.
	Check func(context.Context) Verdict
	// Ended is called before the stream is ended, and Released when it is over for
	// any reason.
	Ended, Released func()
	// Stop makes further writes of the handler fail.
	Stop func()

	w      http.ResponseWriter // innermost writer, on which deadlines can be set at any time
	cancel context.CancelFunc  // nil without Expect

	mu       sync.Mutex
	stream   *Stream
	hijacked bool
	returned chan struct{} // closed when the handler has returned; nil before Begin
	over     bool          // whether the handler has returned
}

// Expect prepares for a stream: it returns the request with a context that is
// canceled when the stream is ended.
func (p *Response) Expect(r *http.Request) *http.Request {
	ctx, cancel := context.WithCancel(r.Context())
	p.cancel = cancel
	return r.WithContext(ctx)
}

// Begin records that the response has become a stream. w is what it is written to.
func (p *Response) Begin(in *Registry, w http.ResponseWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stream == nil {
		p.w, p.returned = innermost(w), make(chan struct{})
		p.stream = in.Add(p.Check, p.end, p.Released)
	}
}

// Hijack records that the handler has taken over the connection, and returns the
// connection for it to use. The stream lasts until that is closed.
func (p *Response) Hijack(in *Registry, taken net.Conn) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.stream
	p.hijacked = true
	var s *Stream
	s = in.Add(p.Check, func() {
		p.Ended()
		if p.cancel != nil {
			p.cancel()
		}
		taken.Close()
		s.Remove() // even if the handler never closes it
	}, p.Released)
	p.stream = s
	if before != nil { // Begin was called before
		before.gone = func() {}
		before.Remove()
	}
	c := conn{taken, p.stream}
	if half, ok := taken.(interface{ CloseWrite() error }); ok {
		return &halfConn{c, half}
	}
	return &c
}

// Return records that the handler has returned.
func (p *Response) Return() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hijacked {
		return
	}
	p.over = true
	if p.cancel != nil {
		p.cancel()
	}
	if p.stream != nil {
		p.stream.Remove()
		close(p.returned)
	}
}

// end ends the response. Most handlers return when their context is canceled.
// Others, and those without such a context, are cut off from the connection: writes
// fail, and with HTTP/1.1 the server cancels the context when it cannot read.
func (p *Response) end() {
	p.Ended()
	if p.cancel != nil {
		p.cancel()
		select {
		case <-p.returned:
			return
		case <-time.After(endWithin):
		}
	}
	p.Stop()
	ticker := time.NewTicker(endWithin)
	defer ticker.Stop()
	for range endAttempts { // a concurrent write may have set its own deadline
		if !p.cutOff() {
			return
		}
		select {
		case <-p.returned:
			return
		case <-ticker.C:
		}
	}
}

// endAttempts is how often a handler that does not return is cut off.
const endAttempts = 10

// cutOff makes pending and future reads and writes fail. It returns false if the
// handler has already returned.
func (p *Response) cutOff() bool {
	p.mu.Lock() // Return waits for this lock, so the writer is still valid
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	control, past := http.NewResponseController(p.w), time.Unix(1, 0)
	_ = control.SetWriteDeadline(past)
	_ = control.SetReadDeadline(past)
	return true
}

// innermost returns the server's own writer.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// conn is a connection that was taken over.
type conn struct {
	net.Conn
	stream *Stream
}

func (c *conn) Close() error {
	c.stream.Remove()
	return c.Conn.Close()
}

// ReadFrom implements io.ReaderFrom with that of the underlying connection.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// WriteTo implements io.WriterTo with that of the underlying connection.
func (c *conn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, c.Conn) }

// halfConn is a conn that supports CloseWrite.
type halfConn struct {
	conn
	half interface{ CloseWrite() error }
}

func (c *halfConn) CloseWrite() error { return c.half.CloseWrite() }
