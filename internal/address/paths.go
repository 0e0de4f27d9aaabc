package address

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// This file checks configured addresses: a site's own paths, and redirect targets.

// CheckPath returns an error unless value is an address of the site itself: a path,
// optionally with a query.
func CheckPath(value string) error {
	if _, ok := Return(value, Origin{}, nil); !ok || strings.ContainsAny(value, "{}") {
		return fmt.Errorf("%q is not a path", value)
	}
	return nil
}

// CheckPlainPath returns an error unless value is a path that browsers send
// unchanged, since requests are compared with it byte for byte.
func CheckPlainPath(value string) error {
	if err := CheckPath(value); err != nil {
		return err
	}
	if strings.ContainsAny(value, "?#%;") || len(value) < 2 || path.Clean(value) != strings.TrimSuffix(value, "/") {
		return fmt.Errorf("%q is not a plain path", value)
	}
	return nil
}

// CheckEndpointPath returns an error unless value is a plain path without a slash
// at its end.
func CheckEndpointPath(value string) error {
	if strings.HasSuffix(value, "/") {
		return fmt.Errorf("%q has a slash at its end", value)
	}
	return CheckPlainPath(value)
}

// CheckOrigin returns an error unless text is an origin. It accepts text with
// placeholders, which are not expanded yet.
func CheckOrigin(text string) error {
	if strings.Contains(text, "{") {
		return nil
	}
	_, err := ParseOrigin(text)
	return err
}

// CheckTarget returns an error unless text is a path or an http or https URL to
// which a browser can be redirected. It accepts text with placeholders.
func CheckTarget(text string) error {
	if _, isPath := Return(text, Origin{}, nil); isPath || strings.Contains(text, "{") {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" ||
		strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }) {
		return fmt.Errorf("%q is neither a path nor an http or https URL", text)
	}
	return nil
}

// IsDomain reports whether a text is the name of a domain.
func IsDomain(text string) bool {
	_, err := ParseOrigin("https://" + text)
	return text != "" && err == nil && !strings.ContainsAny(text, ":/?#")
}
