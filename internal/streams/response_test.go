package streams

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// served is a server whose responses are streams. They end when over is set.
type served struct {
	*httptest.Server
	registry *Registry
	over     atomic.Bool
	released atomic.Int32
	returned chan error // error of the request's context when the handler returned
}

// serve starts a server. expected reports whether the response should be a stream.
// handle is called after the first line.
func serve(t *testing.T, http2, expected bool, handle func(w http.ResponseWriter, r *http.Request)) *served {
	s := &served{registry: new(Registry), returned: make(chan error, 1)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &Response{
			Stop: func() {},
			Check: func(context.Context) Verdict {
				if s.over.Load() {
					return Over
				}
				return Allowed
			},
			Ended: func() {}, Released: func() { s.released.Add(1) },
		}
		if expected {
			r = p.Expect(r)
		}
		defer p.Return()
		p.Begin(s.registry, w)
		fmt.Fprintln(w, "first")
		_ = http.NewResponseController(w).Flush()
		handle(w, r)
		s.returned <- r.Context().Err()
	}))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// open makes a request, reads the first line of the response, and returns the rest.
func (s *served) open(t *testing.T) *bufio.Reader {
	response, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	reader := bufio.NewReader(response.Body)
	if line, err := reader.ReadString('\n'); line != "first\n" {
		t.Fatalf("expected the first line, seen %q, %v", line, err)
	}
	return reader
}

func TestHowResponsesEnd(t *testing.T) {
	t.Parallel()
	untilDone := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	untilBroken := func(w http.ResponseWriter, _ *http.Request) {
		for {
			time.Sleep(20 * time.Millisecond)
			if _, err := fmt.Fprintln(w, "more"); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	}
	for _, row := range []struct {
		name                 string
		http2, expected      bool
		handle               func(http.ResponseWriter, *http.Request)
		returns, clientFails bool
	}{
		{"a handler that looks at its context", false, true, untilDone, true, false},
		{"a handler that looks at its context, with HTTP/2", true, true, untilDone, true, false},
		{"a handler that does not", false, true, untilBroken, true, true},
		{"a handler that does not, with HTTP/2", true, true, untilBroken, true, true},
		{"a quiet handler that was not expected", false, false, untilDone, true, true},
		{"a handler that was not expected", false, false, untilBroken, true, true},
		{"a handler that was not expected, with HTTP/2", true, false, untilBroken, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, row.http2, row.expected, row.handle)
			body := s.open(t)
			time.Sleep(2 * checkEvery)
			if s.registry.Len() != 1 {
				t.Fatalf("expected one stream, seen %d", s.registry.Len())
			}
			s.over.Store(true)
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, body)
				ended <- err
			}()
			select {
			case err := <-ended:
				if (err != nil) != row.clientFails {
					t.Errorf("expected the client to see a failure: %v, seen %v", row.clientFails, err)
				}
			case <-time.After(time.Minute):
				t.Fatal("expected the response to end at the client")
			}
			select {
			case <-s.returned:
			case <-time.After(time.Minute):
				t.Error("expected the handler to return")
			}
			for end := time.Now().Add(time.Minute); s.released.Load() != 1 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			}
			if s.released.Load() != 1 {
				t.Errorf("expected one release, seen %d", s.released.Load())
			}
		})
	}
}

// A quiet, unexpected stream in HTTP/2 is reset even if its handler does not notice.
func TestAQuietStreamOfHTTP2IsReset(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	s := serve(t, true, false, func(http.ResponseWriter, *http.Request) { <-stop })
	t.Cleanup(func() { close(stop) })
	body := s.open(t)
	s.over.Store(true)
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, body)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("expected the stream to be reset")
		}
	case <-time.After(time.Minute):
		t.Error("expected the response to end at the client")
	}
}
