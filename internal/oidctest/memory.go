package oidctest

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// memoryTransport calls the provider without a socket. Headers and streaming
// work as over HTTP. Faults that need a TCP connection, such as a reset or a
// Content-Length that is too small, abort the body.
type memoryTransport struct{ p *Provider }

// RoundTrip implements http.RoundTripper.
func (m memoryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	pr, pw := io.Pipe()
	context.AfterFunc(ctx, func() { _ = pr.Close() }) // unblocks the writer
	w := &memoryWriter{header: http.Header{}, pipe: pw, ready: make(chan struct{})}
	go func() {
		defer func() {
			err := error(nil)
			if caught := recover(); caught != nil {
				if caught != http.ErrAbortHandler {
					panic(caught)
				}
				err = io.ErrUnexpectedEOF
			}
			_ = in.Body.Close()
			w.finish(err)
		}()
		m.p.ServeHTTP(w, in)
	}()
	select {
	case <-w.ready:
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
	if w.failed != nil {
		cancel()
		return nil, w.failed
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: -1, Request: r,
		Body: &memoryBody{pr, cancel},
	}, nil
}

// memoryWriter delivers the response as soon as its status is known.
type memoryWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	once   sync.Once
	ready  chan struct{}

	// These are set before ready is closed, and never change afterwards.
	status int
	sent   http.Header
	failed error
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

func (w *memoryWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

// Flush implements http.Flusher. It does nothing, because writes are not
// buffered.
func (w *memoryWriter) Flush() {}

func (w *memoryWriter) finish(err error) {
	if err != nil {
		w.once.Do(func() { w.failed = err; close(w.ready) })
	} else {
		w.WriteHeader(http.StatusOK)
	}
	_ = w.pipe.CloseWithError(err) // nil is io.EOF
}

type memoryBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *memoryBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
