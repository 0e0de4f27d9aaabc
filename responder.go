package oidcrp

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// responder sees to the Cache-Control of the application's answer before it is
// sent: what was made for one user belongs into no shared cache, and the
// browser's own cache asks before it shows it again, since the user may have
// signed out. An answer on which we set a cookie belongs into none at all.
type responder struct {
	*caddyhttp.ResponseWriterWrapper
	wrapper caddyhttp.ResponseWriterWrapper
	// noStore: we set a cookie.
	noStore bool
	ready   bool
	// beforeAnswer has a last look at the header.
	beforeAnswer func(http.Header)
	value        [1]string
}

// wrap puts the responder before next. Of several instances on one site the
// first one has done that already.
func (w *responder) wrap(next http.ResponseWriter, noStore bool) http.ResponseWriter {
	w.noStore = w.noStore || noStore
	if w.wrapper.ResponseWriter != nil {
		return next
	}
	w.wrapper.ResponseWriter = next
	w.ResponseWriterWrapper = &w.wrapper
	return w
}

func (w *responder) prepare() {
	if w.ready {
		return
	}
	w.ready = true
	header := w.Header()
	if w.beforeAnswer != nil {
		w.beforeAnswer(header)
	}
	switch {
	case w.noStore:
		w.set("no-store")
	case !saysSomething(header["Cache-Control"]):
		w.set("private, no-cache")
	}
}

// saysSomething reports whether a list header has a member.
func saysSomething(lines []string) bool {
	for _, line := range lines {
		if strings.Trim(line, ", \t") != "" {
			return true
		}
	}
	return false
}

// set needs a list of its own for each answer: handlers change values in place.
func (w *responder) set(value string) {
	w.value[0] = value
	w.Header()["Cache-Control"] = w.value[:]
}

// WriteHeader implements http.ResponseWriter. Informational answers come
// before the real one.
func (w *responder) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.prepare()
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *responder) Write(p []byte) (int, error) {
	w.prepare()
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (w *responder) ReadFrom(r io.Reader) (int64, error) {
	w.prepare()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController calls.
func (w *responder) FlushError() error {
	w.prepare()
	return http.NewResponseController(w.ResponseWriterWrapper.ResponseWriter).Flush()
}

// prepareError sees to an answer that was left to Caddy's error handling.
func (w *responder) prepareError() {
	if w.wrapper.ResponseWriter != nil {
		w.prepare()
	}
}

var (
	_ http.ResponseWriter = (*responder)(nil)
	_ io.ReaderFrom       = (*responder)(nil)
)
