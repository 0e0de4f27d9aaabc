package headers

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// ResponseWriter sets the Cache-Control of an application's response. A response
// for one user must not be in a shared cache, and the browser must revalidate it,
// since the user may have signed out. A response that sets one of our cookies must
// not be cached at all. The zero value is ready for Wrap.
type ResponseWriter struct {
	http.ResponseWriter
	// Hooks, if set, is called while the response is written.
	Hooks Hooks

	private bool // whether the response is for one user
	noStore bool // whether the plugin sets a cookie
	ready   bool
	stopped atomic.Bool
	value   [1]string
}

// errStopped is returned by writes after Stop.
var errStopped = errors.New("the response was ended with the session of its user")

// Stop makes all further writes fail. It may be called during a write.
func (w *ResponseWriter) Stop() { w.stopped.Store(true) }

// Hooks are called by a ResponseWriter.
type Hooks interface {
	// BeforeHeader is called once, before the response's header is sent.
	BeforeHeader(http.Header)
	// Hijacked is called when the handler has taken over the connection. It returns
	// the connection to use instead.
	Hijacked(net.Conn) net.Conn
}

// Wrap makes the writer write to next. noStore reports whether the response sets
// one of our cookies, and private whether it is for one user. If the writer is
// already in use, because another instance of the site wrapped it, Wrap returns
// next.
func (w *ResponseWriter) Wrap(next http.ResponseWriter, noStore, private bool) http.ResponseWriter {
	w.noStore, w.private = w.noStore || noStore, w.private || private
	if w.ResponseWriter != nil {
		return next
	}
	w.ResponseWriter = next
	return w
}

// Prepare sets the header now, for a response that does not go through this writer
// because Caddy's error handling writes it. Without Wrap it does nothing.
func (w *ResponseWriter) Prepare() {
	if w.ready || w.ResponseWriter == nil {
		return
	}
	w.ready = true
	header := w.Header()
	if w.Hooks != nil {
		w.Hooks.BeforeHeader(header)
	}
	switch {
	case w.noStore:
		w.set("no-store")
	case w.private && !hasMember(header["Cache-Control"]):
		w.set("private, no-cache")
	}
}

// hasMember reports whether a list header is not empty.
func hasMember(lines []string) bool {
	for _, line := range lines {
		if strings.Trim(line, ", \t") != "" {
			return true
		}
	}
	return false
}

// set sets Cache-Control with a slice of its own, because handlers may change it in
// place.
func (w *ResponseWriter) set(value string) {
	w.value[0] = value
	w.Header()["Cache-Control"] = w.value[:]
}

// WriteHeader implements http.ResponseWriter. Informational responses may precede
// the final one.
func (w *ResponseWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.Prepare()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *ResponseWriter) Write(p []byte) (int, error) {
	w.Prepare()
	if w.stopped.Load() {
		return 0, errStopped
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom, to send files without copying.
func (w *ResponseWriter) ReadFrom(r io.Reader) (int64, error) {
	w.Prepare()
	if w.stopped.Load() {
		return 0, errStopped
	}
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(w.ResponseWriter, r)
}

// FlushError implements the interface that http.ResponseController uses.
func (w *ResponseWriter) FlushError() error {
	w.Prepare()
	if w.stopped.Load() {
		return errStopped
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements the interface that http.ResponseController uses.
func (w *ResponseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.Hooks != nil {
		conn = w.Hooks.Hijacked(conn)
	}
	return conn, buffers, err
}

// Push implements http.Pusher.
func (w *ResponseWriter) Push(target string, options *http.PushOptions) error {
	if pusher, ok := w.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, options)
	}
	return http.ErrNotSupported
}

// Unwrap implements the interface that http.ResponseController uses.
func (w *ResponseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var (
	_ http.ResponseWriter = (*ResponseWriter)(nil)
	_ io.ReaderFrom       = (*ResponseWriter)(nil)
	_ http.Pusher         = (*ResponseWriter)(nil)
	_ http.Hijacker       = (*ResponseWriter)(nil)
)
