package headers

import (
	"io"
	"net/http"
	"strings"
)

// trailerBody removes trailers that clients must not send. net/http adds trailers
// to a request when its body has been read to the end, so readers of the end must
// not see them either.
type trailerBody struct {
	io.ReadCloser
	r      *http.Request
	shared http.Header // net/http adds the trailers to it
	filter *Filter
}

// guardTrailers removes forbidden names from a request's trailers: announced ones
// now, and all others when they arrive.
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

// mayTrail reports whether a field is allowed as a trailer. Fields about framing,
// routing, authentication and content are not (RFC 9110, section 6.5.1), except for
// digests of the content.
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
