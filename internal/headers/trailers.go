package headers

import (
	"io"
	"net/http"
	"strings"
)

// trailerBody removes trailers that no client may send. Go fills a request's
// trailers in while its body is read to the end, so that whoever sees the end
// sees them as well.
type trailerBody struct {
	io.ReadCloser
	r      *http.Request
	shared http.Header // that net/http fills
	filter *Filter
}

// guardTrailers takes from a request's trailers what a header of the same name
// must not say: those that were announced, now, and all others when they come.
func (f *Filter) guardTrailers(r *http.Request) {
	if r.Trailer == nil && len(r.TransferEncoding) == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	f.dropTrailers(r.Trailer)
	r.Body = &trailerBody{ReadCloser: r.Body, r: r, shared: r.Trailer, filter: f}
}

// Read implements io.Reader.
func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.drop()
	}
	return n, err
}

// Close implements io.Closer. It may read the rest of the body.
func (b *trailerBody) Close() error {
	defer b.drop()
	return b.ReadCloser.Close()
}

func (b *trailerBody) drop() {
	b.filter.dropTrailers(b.shared)
	b.filter.dropTrailers(b.r.Trailer)
}

func (f *Filter) dropTrailers(trailer http.Header) {
	for name := range trailer {
		if f.removes(name) || !mayTrail(name) {
			delete(trailer, name)
		}
	}
}

// mayTrail reports whether a field has a place in a trailer. Those that say how
// a message is framed or routed, who sends it, or what it holds have none
// (RFC 9110 6.5.1); digests of the content have.
func mayTrail(name string) bool {
	folded := foldName(name)
	if noTrailers[folded] {
		return false
	}
	family, rest, _ := strings.Cut(folded, "-")
	switch family {
	case "content":
		return rest == "digest" || rest == "md5"
	case "if", "sec":
		return false
	case "x":
		return !strings.HasPrefix(rest, "forwarded-")
	}
	return true
}

var noTrailers = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "origin": true, "referer": true,
	"host": true, "forwarded": true, "x-original-url": true, "x-rewrite-url": true, "x-http-method-override": true,
	"connection": true, "keep-alive": true, "proxy-connection": true, "upgrade": true, "http2-settings": true,
	"te": true, "trailer": true, "transfer-encoding": true, "expect": true, "max-forwards": true, "range": true,
}
