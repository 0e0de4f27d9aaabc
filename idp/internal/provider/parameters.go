package provider

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxParameters is the maximum size in bytes of a request's parameters.
const maxParameters = 32 << 10

// parameters are the parameters of a request. Each occurs once (RFC 6749, section
// 3.1). Those without a value are omitted.
type parameters map[string]string

// doubledError is the name of a parameter that occurs more than once.
type doubledError string

// Error names the parameter if it has the usual form; others do not belong in a
// response (RFC 6749, section 5.2).
func (e doubledError) Error() string {
	if e == "" || len(e) > 40 || strings.Trim(string(e), "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "a parameter appears twice"
	}
	return "the parameter " + string(e) + " appears twice"
}

// parse parses application/x-www-form-urlencoded parameters. With a doubledError it
// also returns the other parameters.
func parse(text string) (parameters, error) {
	if len(text) > maxParameters {
		return nil, errors.New("there are too many parameters")
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, errors.New("the parameters are not well formed")
	}
	p := make(parameters, len(values))
	var doubled error
	for name, all := range values {
		if len(all) > 1 {
			doubled = doubledError(name)
			continue
		}
		if all[0] != "" {
			p[name] = all[0]
		}
	}
	return p, doubled
}

// isForm reports whether the body of a request is a form.
func isForm(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/x-www-form-urlencoded"
}

// readForm reads the body of a request.
func readForm(w http.ResponseWriter, r *http.Request) (string, error) {
	if !isForm(r) {
		return "", errors.New("the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxParameters))
	if err != nil {
		return "", errors.New("the body cannot be read, or is too large")
	}
	return string(body), nil
}

// words splits a space-separated list (RFC 6749, appendix A.4).
func words(list string) []string { return strings.Fields(list) }
