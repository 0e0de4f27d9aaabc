package flow

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// maxForm is the maximum size in bytes of a form that anyone can send.
const maxForm = 64 << 10

var (
	errNotForm  = errors.New("the body is not a form")
	errFormSize = errors.New("the form is too large, or was cut off")
)

// readForm returns the named fields of a posted form of at most max bytes.
func readForm(r *http.Request, max int64, names ...string) (url.Values, error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return nil, errNotForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, max))
	if err != nil {
		return nil, errFormSize
	}
	return query.Only(string(body), names...), nil
}
