package headers

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestNamesThatAnApplicationFolds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"X-User", "X-User", true}, {"X-User", "x_user", true}, {"X-User", "X.USER", true}, {"X!User", "X~User", true},
		{"X-User", "X-User-", false}, {"X-User", "XUser", false}, {"X-User1", "X-User2", false}, {"", "", true},
	} {
		if got := SameName(row.a, row.b); got != row.same {
			t.Errorf("%q and %q: expected %v, seen %v", row.a, row.b, row.same, got)
		}
		if got := foldName(row.a) == foldName(row.b); got != row.same {
			t.Errorf("%q and %q, folded: expected %v, seen %v", row.a, row.b, row.same, got)
		}
	}
}

func TestCleanRemovesEverySpelling(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
	for _, name := range []string{"X_Remote_User", "x.remote.user", "X!Remote~User", "X-Remote-User", "X-REMOTE-USER"} {
		r.Header[name] = []string{"root"}
	}
	r.Header["X-Other"], r.Header["Trailer"] = []string{"kept"}, []string{"X-Remote-User, X-Sum"}
	r.Trailer = http.Header{"X-Remote-User": nil, "X-Sum": nil}
	NewFilter([]string{"X-Remote-User"}, nil).Clean(r, nil)
	if got := fmt.Sprint(slices.Sorted(maps.Keys(r.Header))); got != "[Trailer X-Other]" {
		t.Errorf("headers: expected [Trailer X-Other], seen %s", got)
	}
	if got := r.Header.Get("Trailer"); got != "X-Sum" {
		t.Errorf("Trailer: expected X-Sum, seen %q", got)
	}
	if got := fmt.Sprint(slices.Sorted(maps.Keys(r.Trailer))); got != "[X-Sum]" {
		t.Errorf("trailers: expected [X-Sum], seen %s", got)
	}
}

func TestCleanKeepsWhatAnotherInstanceSet(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["X-User"], r.Header["X_user"] = []string{"alice"}, []string{"root"}
	NewFilter([]string{"X-User"}, nil).Clean(r, []string{"X-User"})
	if got := fmt.Sprint(r.Header); got != "map[X-User:[alice]]" {
		t.Errorf("expected map[X-User:[alice]], seen %s", got)
	}
}

func TestConnectionNamesNoHeaderOfOurs(t *testing.T) {
	t.Parallel()
	filter := NewFilter([]string{"X-User"}, nil)
	for sent, want := range map[string]string{
		"close":                  "close",
		"X-User":                 "",
		"close, x_user":          "close",
		" X.User ,\tkeep-alive":  "keep-alive",
		"X-User2":                "X-User2",
		"close\nX-User":          "close",
		"X-User\nX-User, X-Mine": "X-Mine",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Connection"] = strings.Split(sent, "\n")
		lines := slices.Clone(r.Header["Connection"])
		before := r.Header["Connection"]
		filter.Clean(r, nil)
		if got := strings.Join(r.Header["Connection"], "\n"); got != want {
			t.Errorf("%q: expected %q, seen %q", sent, want, got)
		}
		if !slices.Equal(before, lines) {
			t.Errorf("%q: the lines that were sent became %q", sent, before)
		}
	}
}

func TestAJoinedFilterRemovesWhatAnyDoes(t *testing.T) {
	t.Parallel()
	joined := Join(NewFilter([]string{"X-User"}, []string{"tcp"}), NewFilter([]string{"X-Mail", "X-User"}, []string{"SPDY/3.1"}), NewFilter(Rewriting, nil))
	for name, want := range map[string]bool{"X-User": true, "x_mail": true, "X-Rewrite-URL": true, "X-Name": false} {
		if got := joined.removes(name); got != want {
			t.Errorf("%s: expected %v, seen %v", name, want, got)
		}
	}
	if got := fmt.Sprint(joined.Upgrades()); got != "[tcp SPDY/3.1]" {
		t.Errorf("upgrades: expected [tcp SPDY/3.1], seen %s", got)
	}
	joined = Join()
	if joined.removes("X-User") {
		t.Error("no filters: expected X-User to stay, seen that it is removed")
	}
	if got := joined.Upgrades(); got != nil {
		t.Errorf("no filters: expected no upgrades, seen %q", got)
	}
}

func TestHeadersThatMayIdentify(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"X-User": true, "Remote-User": true, "Authorization": true, "X-Forwarded-User": true, "X-Forwarded-Email": true,
		"X-Forwarded-For": false, "X_forwarded_proto": false, "Cookie": false, "Host": false, "Content-Type": false,
		"Sec-Fetch-Site": false, "Connection": false, "Te": false, "Forwarded": false, "Upgrade": false,
	} {
		if got := MayIdentify(name); got != want {
			t.Errorf("%s: expected %v, seen %v", name, want, got)
		}
	}
}

// lateTrailers is a body that adds trailers at its end, as those of net/http do.
type lateTrailers struct {
	io.Reader
	r    *http.Request
	late http.Header
}

func (b *lateTrailers) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		maps.Copy(b.r.Trailer, b.late)
	}
	return n, err
}

func (b *lateTrailers) Close() error {
	maps.Copy(b.r.Trailer, b.late)
	return nil
}

func TestTrailersThatComeLateAreRemoved(t *testing.T) {
	t.Parallel()
	late := http.Header{
		"X_user": {"root"}, "X-User": {"root"}, "Authorization": {"x"}, "Cookie": {"x"}, "X-Forwarded-For": {"::1"}, "Sec-Fetch-Site": {"none"},
		"If-Match": {"x"}, "Content-Type": {"x"}, "Upgrade": {"h2c"}, "Content-Digest": {"x"}, "Content-Md5": {"x"}, "Grpc-Status": {"0"},
	}
	for name, end := range map[string]func(io.ReadCloser) error{
		"read to the end":    func(b io.ReadCloser) error { _, err := io.ReadAll(b); return err },
		"closed before that": io.ReadCloser.Close,
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.TransferEncoding, r.Trailer = []string{"chunked"}, http.Header{"X-User": nil, "X-Sum": nil}
		r.Body = &lateTrailers{strings.NewReader("hello"), r, late}
		NewFilter([]string{"X-User"}, nil).Clean(r, nil)
		if got := fmt.Sprint(slices.Sorted(maps.Keys(r.Trailer))); got != "[X-Sum]" {
			t.Errorf("%s, announced: expected [X-Sum], seen %s", name, got)
		}
		if err := end(r.Body); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(slices.Sorted(maps.Keys(r.Trailer))); got != "[Content-Digest Content-Md5 Grpc-Status X-Sum]" {
			t.Errorf("%s: expected [Content-Digest Content-Md5 Grpc-Status X-Sum], seen %s", name, got)
		}
	}
}

// ordinary returns a request as browsers send it.
func ordinary() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/page", nil)
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Cookie", "Dnt", "Priority", "Referer", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile",
		"Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Upgrade-Insecure-Requests", "User-Agent",
	} {
		r.Header[name] = []string{"x"}
	}
	return r
}

func TestAnOrdinaryRequestAllocatesNothing(t *testing.T) {
	filter, r := NewFilter(append([]string{"X-User", "X-Groups"}, Rewriting...), []string{"tcp"}), ordinary()
	if got := testing.AllocsPerRun(100, func() { filter.Clean(r, nil) }); got != 0 {
		t.Errorf("expected no allocation, seen %v", got)
	}
}

func BenchmarkClean(b *testing.B) {
	filter, r := NewFilter(append([]string{"X-User", "X-Groups"}, Rewriting...), []string{"tcp"}), ordinary()
	b.ReportAllocs()
	for b.Loop() {
		filter.Clean(r, nil)
	}
}

// FuzzClean checks that no spelling of a protected header remains, and that no token of
// Connection or Trailer names one.
func FuzzClean(f *testing.F) {
	f.Add("X_User", "close, x.user", "X-User")
	f.Add("X-User", "X-User\nkeep-alive", "x-user, X-Sum")
	f.Add("X-Other", ",, X-User ,", "")
	filter := NewFilter([]string{"X-User"}, nil)
	f.Fuzz(func(t *testing.T, name, connection, trailer string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header[name] = []string{"root"}
		r.Header["Connection"] = strings.Split(connection, "\n")
		r.Header["Trailer"] = strings.Split(trailer, "\n")
		filter.Clean(r, nil)
		for name := range r.Header {
			if SameName(name, "X-User") {
				t.Errorf("%q is left", name)
			}
		}
		for _, list := range []string{"Connection", "Trailer"} {
			for token := range strings.SplitSeq(strings.Join(r.Header[list], ","), ",") {
				if SameName(strings.Trim(token, " \t"), "X-User") {
					t.Errorf("%s names %q: %q", list, token, r.Header[list])
				}
			}
		}
	})
}
