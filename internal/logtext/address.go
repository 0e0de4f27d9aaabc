package logtext

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
)

// WithoutAddress removes the URL from an error of an HTTP client, because its query
// may name a user or contain a secret. option is the name of the option with the
// certificate authorities, for the error about an unknown one.
func WithoutAddress(err error, option string) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w (name its authority with %s)", unknown, option)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
