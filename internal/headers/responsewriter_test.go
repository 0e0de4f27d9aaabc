package headers

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCacheControlOfResponses(t *testing.T) {
	t.Parallel()
	answer := func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }
	for name, row := range map[string]struct {
		own     []string // the application's Cache-Control
		noStore bool
		answer  func(http.ResponseWriter)
		want    string
	}{
		"for everyone":           {nil, false, func(w http.ResponseWriter) { w.(*ResponseWriter).private = false; answer(w) }, ""},
		"no header":              {nil, false, answer, "private, no-cache"},
		"its own":                {[]string{"max-age=60"}, false, answer, "max-age=60"},
		"an empty one":           {[]string{" ,"}, false, answer, "private, no-cache"},
		"a cookie of ours":       {nil, true, answer, "no-store"},
		"a cookie, its own":      {[]string{"max-age=60"}, true, answer, "no-store"},
		"a body":                 {nil, false, func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) }, "private, no-cache"},
		"a file":                 {nil, false, func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) }, "private, no-cache"},
		"a flush":                {nil, false, func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, "private, no-cache"},
		"an informational":       {nil, false, func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, ""},
		"a change of protocols":  {nil, false, func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) }, "private, no-cache"},
		"an error, not written":  {nil, false, func(w http.ResponseWriter) { w.(*ResponseWriter).Prepare() }, "private, no-cache"},
		"nothing, not even that": {nil, false, func(http.ResponseWriter) {}, ""},
	} {
		recorder := httptest.NewRecorder()
		w := new(ResponseWriter).Wrap(recorder, row.noStore, !row.noStore)
		if row.own != nil {
			w.Header()["Cache-Control"] = row.own
		}
		row.answer(w)
		if got := strings.Join(recorder.Header()["Cache-Control"], ";"); got != row.want {
			t.Errorf("%s: expected %q, seen %q", name, row.want, got)
		}
	}
}

func TestOnlyTheFirstInstanceWraps(t *testing.T) {
	t.Parallel()
	recorder, writer := httptest.NewRecorder(), new(ResponseWriter)
	first := writer.Wrap(recorder, false, true)
	if second := writer.Wrap(first, true, false); second != first {
		t.Errorf("the second instance gets %T", second)
	}
	first.WriteHeader(http.StatusOK)
	if got := recorder.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("expected no-store, seen %q", got)
	}
}

type hooks struct {
	header   func(http.Header)
	hijacked func(net.Conn) net.Conn
}

func (h hooks) BeforeHeader(header http.Header) { h.header(header) }

func (h hooks) Hijacked(conn net.Conn) net.Conn { return h.hijacked(conn) }

// hijacker is a writer whose connection can be hijacked.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

func TestWhoTakesTheConnectionOverGetsTheOneOfTheHook(t *testing.T) {
	t.Parallel()
	below, _ := net.Pipe()
	instead, _ := net.Pipe()
	writer := &ResponseWriter{Hooks: hooks{hijacked: func(conn net.Conn) net.Conn {
		if conn != below {
			t.Errorf("expected the connection below, seen %v", conn)
		}
		return instead
	}}}
	w := writer.Wrap(hijacker{httptest.NewRecorder(), below}, false, true)
	if conn, _, err := http.NewResponseController(w).Hijack(); err != nil || conn != instead {
		t.Errorf("expected the other connection, seen %v, %v", conn, err)
	}
	w = new(ResponseWriter).Wrap(hijacker{httptest.NewRecorder(), below}, false, true)
	if conn, _, err := http.NewResponseController(w).Hijack(); err != nil || conn != below {
		t.Errorf("without hooks: expected the connection below, seen %v, %v", conn, err)
	}
	w = new(ResponseWriter).Wrap(httptest.NewRecorder(), false, true)
	if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("a writer without a connection: expected %v, seen %v", http.ErrNotSupported, err)
	}
}

func TestBeforeHeaderIsCalledOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	writer := &ResponseWriter{Hooks: hooks{header: func(http.Header) { calls++ }}}
	writer.Prepare() // wraps nothing yet
	if calls != 0 {
		t.Errorf("before Wrap: expected no call, seen %d", calls)
	}
	w := writer.Wrap(httptest.NewRecorder(), false, true)
	w.WriteHeader(http.StatusEarlyHints)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("x"))
	if calls != 1 {
		t.Errorf("expected 1 call, seen %d", calls)
	}
}

func TestTheWriterBelowIsReached(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	w := new(ResponseWriter).Wrap(recorder, false, true)
	if got := w.(interface{ Unwrap() http.ResponseWriter }).Unwrap(); got != recorder {
		t.Errorf("below is %T", got)
	}
	if err := w.(http.Pusher).Push("/x", nil); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("push: expected %v, seen %v", http.ErrNotSupported, err)
	}
	if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello")); n != 5 || err != nil {
		t.Errorf("expected 5 bytes, seen %d, %v", n, err)
	}
}
