//go:build unix

package integration_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A named pipe in place of a file is an error immediately. Nothing waits for a writer.
func TestNamedPipesAreNotRead(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipes here: ", err)
	}
	op := newOP(t)
	for _, option := range []string{
		"jwks {file." + pipe + "}", "decryption_key " + pipe, "client_auth private_key_jwt " + pipe, "client_auth private_key_jwt {file." + pipe + "}",
		`
			tls {
				ca ` + pipe + `
			}
		`, "client_secret {file." + pipe + "}",
	} {
		config, err := adapt(fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer %s
		client_id rp
		%s
	}
}
`, op.Issuer(), option))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- tryProvision(config) }()
		select {
		case err := <-done:
			failsWith(t, option, err, "is not a regular file")
		case <-time.After(2 * patience):
			t.Fatalf("%s: the load waits for the pipe", option)
		}
	}
}
