package address

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// This file checks the addresses that an operator gives to a site: its own paths,
// and where it sends browsers.

// CheckPath refuses what is not an address of the site itself, as the home page
// is: a path, which may have a query.
func CheckPath(value string) error {
	if _, ok := Return(value, Origin{}, nil); !ok || strings.ContainsAny(value, "{}") {
		return fmt.Errorf("%q is not a path", value)
	}
	return nil
}

// CheckPlainPath refuses what is not a path that a browser would send as it is
// written: requests are compared with it byte for byte.
func CheckPlainPath(value string) error {
	if err := CheckPath(value); err != nil {
		return err
	}
	if strings.ContainsAny(value, "?#%;") || len(value) < 2 || path.Clean(value) != strings.TrimSuffix(value, "/") {
		return fmt.Errorf("%q is not a plain path", value)
	}
	return nil
}

// CheckEndpointPath refuses what is not a plain path, and a slash at its end.
func CheckEndpointPath(value string) error {
	if strings.HasSuffix(value, "/") {
		return fmt.Errorf("%q has a slash at its end", value)
	}
	return CheckPlainPath(value)
}

// CheckOrigin refuses what is not an origin. A text with a placeholder, which is
// not resolved yet, counts as a good one.
func CheckOrigin(text string) error {
	if strings.Contains(text, "{") {
		return nil
	}
	_, err := ParseOrigin(text)
	return err
}

// CheckTarget refuses what is neither a path nor an http or https URL that a
// browser could be sent to. A text with a placeholder counts as a good one.
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
