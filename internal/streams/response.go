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

// This file says how an HTTP response is ended that has begun.

// endWithin is how long a handler has to return when its context ended, before its
// connection is taken from it.
const endWithin = 500 * time.Millisecond

// IsEventStream reports whether a Content-Type is that of server-sent events.
func IsEventStream(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	name, _, _ := strings.Cut(contentType[0], ";")
	return strings.EqualFold(strings.TrimSpace(name), eventStream)
}

// AcceptsEvents reports whether a client is ready for server-sent events.
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
	// Check reports whether the stream may go on.
	Check func(context.Context) Verdict
	// Ended is called before the stream is ended, and Released when it is over, by
	// itself or so.
	Ended, Released func()
	// Stop refuses what the handler writes from now on.
	Stop func()

	w      http.ResponseWriter // below all others: servers let deadlines be set at any time
	cancel context.CancelFunc  // nil for a response that was not expected to be one

	mu       sync.Mutex
	stream   *Stream
	hijacked bool
	returned chan struct{} // closed when the handler has; nil before Begin
	over     bool          // the handler has returned
}

// Expect prepares for a stream: it returns the request with a context that ends with
// the stream.
func (p *Response) Expect(r *http.Request) *http.Request {
	ctx, cancel := context.WithCancel(r.Context())
	p.cancel = cancel
	return r.WithContext(ctx)
}

// Begin notes that the response is a stream now. w is what it is written to.
func (p *Response) Begin(in *Registry, w http.ResponseWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stream == nil {
		p.w, p.returned = innermost(w), make(chan struct{})
		p.stream = in.Add(p.Check, p.end, p.Released)
	}
}

// Hijack notes that the handler has taken over the connection, and returns the one
// for it to use. The stream then lasts until that is closed.
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
		s.Remove() // also if the handler never closes it
	}, p.Released)
	p.stream = s
	if before != nil { // the header said already that it is a stream
		before.gone = func() {}
		before.Remove()
	}
	c := conn{taken, p.stream}
	if half, ok := taken.(interface{ CloseWrite() error }); ok {
		return &halfConn{c, half}
	}
	return &c
}

// Return notes that the handler has returned.
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

// end ends the response. Most handlers return when their context ends. From others,
// and from those that were not given such a context, the connection is taken: no
// more is written, and of HTTP/1.1 the server ends the context when it can read
// nothing more.
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
	for range endAttempts { // a write that has just begun may have set a deadline of its own
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

// endAttempts is how often the connection is taken from a handler that does not return.
const endAttempts = 10

// cutOff has reads and writes fail, also those that wait. It reports whether the handler
// has not returned before.
func (p *Response) cutOff() bool {
	p.mu.Lock() // the writer is good until the handler returns, which waits for this
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

// ReadFrom lets the connection below copy by itself.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// WriteTo lets the connection below copy by itself.
func (c *conn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, c.Conn) }

// halfConn can be closed for writing alone.
type halfConn struct {
	conn
	half interface{ CloseWrite() error }
}

func (c *halfConn) CloseWrite() error { return c.half.CloseWrite() }
