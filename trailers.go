package oidcrp

import (
	"io"
	"net/http"
	"strings"
)

// trailerBody removes trailers that only we may set. Go fills a request's
// trailers in while its body is read to the end, so that whoever sees the end
// sees them as well.
type trailerBody struct {
	io.ReadCloser
	r      *http.Request
	shared http.Header // that net/http fills
	h      *Handler
}

// guardTrailers takes from a request's trailers what a header of the same name
// must not say: those that were announced, now, and all others when they come.
func (h *Handler) guardTrailers(r *http.Request) {
	if r.Trailer == nil && len(r.TransferEncoding) == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	h.dropTrailers(r.Trailer)
	r.Body = &trailerBody{ReadCloser: r.Body, r: r, shared: r.Trailer, h: h}
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
	b.h.dropTrailers(b.shared)
	b.h.dropTrailers(b.r.Trailer)
}

func (h *Handler) dropTrailers(trailer http.Header) {
	for name := range trailer {
		if h.siteHeaders.strips(name) || isNoTrailer(name) {
			delete(trailer, name)
		}
	}
}

// isNoTrailer reports whether a field has no place in a trailer: it says how a
// message is framed or routed, who sends it, or what it holds
// (RFC 9110 6.5.1). Digests of the content have.
func isNoTrailer(name string) bool {
	folded := foldHeaderName(name)
	if noTrailers[folded] {
		return true
	}
	family, rest, _ := strings.Cut(folded, "-")
	switch family {
	case "content":
		return rest != "digest" && rest != "md5"
	case "if", "sec":
		return true
	case "x":
		return strings.HasPrefix(rest, "forwarded-")
	}
	return false
}

var noTrailers = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "origin": true, "referer": true,
	"host": true, "forwarded": true, "x-original-url": true, "x-rewrite-url": true, "x-http-method-override": true,
	"connection": true, "keep-alive": true, "proxy-connection": true, "upgrade": true, "http2-settings": true,
	"te": true, "trailer": true, "transfer-encoding": true, "expect": true, "max-forwards": true, "range": true,
}
