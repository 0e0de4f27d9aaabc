package logtext

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"testing"
)

func TestWithoutAddress(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	ofRequest := func(err error) error {
		return fmt.Errorf("ask: %w", &url.Error{Op: "Get", URL: "https://a.example/?name=alice", Err: err})
	}
	for _, row := range []struct {
		err  error
		want string
	}{
		{ofRequest(cause), "connection refused"},
		{cause, "connection refused"},
		{ofRequest(x509.UnknownAuthorityError{}), "x509: certificate signed by unknown authority (name its authority with ca <file>)"},
	} {
		if got := WithoutAddress(row.err, "ca <file>").Error(); got != row.want {
			t.Errorf("%v: expected %q, seen %q", row.err, row.want, got)
		}
	}
}
