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

// ResponseWriter sets the Cache-Control of an application's response before it
// is sent: what was made for one user belongs into no shared cache, and the
// browser's own cache asks before it shows it again, since the user may have
// signed out. A response with a cookie of the plugin's belongs into none at all.
// The zero value is ready for Wrap.
type ResponseWriter struct {
	http.ResponseWriter
	// Hooks is called as the response goes on. Default: nothing is.
	Hooks Hooks

	private bool // the response is for one user
	noStore bool // the plugin sets a cookie
	ready   bool
	stopped atomic.Bool
	value   [1]string
}

// errStopped is what handlers get that write to a response after Stop.
var errStopped = errors.New("the response was ended with the session of its user")

// Stop refuses what is written from now on. It may be called while something is.
func (w *ResponseWriter) Stop() { w.stopped.Store(true) }

// Hooks is what a ResponseWriter calls.
type Hooks interface {
	// BeforeHeader is called once, before the response's header is sent.
	BeforeHeader(http.Header)
	// Hijacked is called when the handler has taken over the connection. It returns the
	// one to use instead.
	Hijacked(net.Conn) net.Conn
}

// Wrap puts the writer before next. noStore says that the response sets a
// cookie of the plugin's, private that it is for one user. Of several instances on
// one site the first one wraps, and Wrap returns next for the others.
func (w *ResponseWriter) Wrap(next http.ResponseWriter, noStore, private bool) http.ResponseWriter {
	w.noStore, w.private = w.noStore || noStore, w.private || private
	if w.ResponseWriter != nil {
		return next
	}
	w.ResponseWriter = next
	return w
}

// Prepare sets the header now, for a response that is written past this writer:
// one that is left to Caddy's error handling. Without Wrap it does nothing.
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

// hasMember reports whether a list header has a member.
func hasMember(lines []string) bool {
	for _, line := range lines {
		if strings.Trim(line, ", \t") != "" {
			return true
		}
	}
	return false
}

// set needs a list of its own for each response: handlers change values in
// place.
func (w *ResponseWriter) set(value string) {
	w.value[0] = value
	w.Header()["Cache-Control"] = w.value[:]
}

// WriteHeader implements http.ResponseWriter. Informational responses come
// before the final one.
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

// ReadFrom implements io.ReaderFrom, which sends files without a copy.
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

// FlushError is what http.ResponseController calls.
func (w *ResponseWriter) FlushError() error {
	w.Prepare()
	if w.stopped.Load() {
		return errStopped
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is what http.ResponseController calls.
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

// Unwrap is what http.ResponseController calls.
func (w *ResponseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var (
	_ http.ResponseWriter = (*ResponseWriter)(nil)
	_ io.ReaderFrom       = (*ResponseWriter)(nil)
	_ http.Pusher         = (*ResponseWriter)(nil)
	_ http.Hijacker       = (*ResponseWriter)(nil)
)
