package headers

import (
	"errors"
	"io"
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
		w := new(ResponseWriter).Wrap(recorder, row.noStore)
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
	first := writer.Wrap(recorder, false)
	if second := writer.Wrap(first, true); second != first {
		t.Errorf("the second instance gets %T", second)
	}
	first.WriteHeader(http.StatusOK)
	if got := recorder.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("expected no-store, seen %q", got)
	}
}

func TestBeforeHeaderIsCalledOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	writer := &ResponseWriter{BeforeHeader: func(http.Header) { calls++ }}
	writer.Prepare() // wraps nothing yet
	if calls != 0 {
		t.Errorf("before Wrap: expected no call, seen %d", calls)
	}
	w := writer.Wrap(httptest.NewRecorder(), false)
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
	w := new(ResponseWriter).Wrap(recorder, false)
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
