package logtext

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
)

// WithoutAddress takes the address off an HTTP client's error: its query may name a
// user, or have a secret. option is where a configuration names certificate
// authorities, for the error about one that is not known.
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
