// Command screens serves the pages of which docs/images/make takes screenshots: a
// site where users choose a provider, one that refuses bob, and an identity provider
// that signs in bob. Everything listens on loopback. The command ends when its
// standard input is closed.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp"
	oidcidp "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
)

//go:embed Caddyfile
var caddyfile string

const secret = "a-secret-for-pictures"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "screens:", err)
		os.Exit(1)
	}
}

func run() error {
	issuerPort, err := freePort()
	if err != nil {
		return err
	}
	sitePort, err := freePort()
	if err != nil {
		return err
	}
	issuer, refusing := "http://localhost:"+issuerPort, "http://refusing.localhost:"+sitePort
	storage, err := os.MkdirTemp("", "oidc-rp-screens-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(storage)
	text := strings.NewReplacer("STORAGE", storage, "ISSUER", issuer, "PORT", sitePort, "SECRET", secret).Replace(caddyfile)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return fmt.Errorf("reading the Caddyfile: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	module, err := caddy.ActiveContext().App("oidc_idp")
	if err != nil {
		return fmt.Errorf("finding the identity provider: %w", err)
	}
	bob := map[string]any{
		"name": "bob", "password": "buildings", "display_name": "Bob Brown", "email": "bob@example.com", "email_verified": true, "groups": []string{"staff"},
	}
	if err := module.(*oidcidp.App).Operate(context.Background(), "user/add", bob, nil); err != nil {
		return fmt.Errorf("adding bob: %w", err)
	}
	fmt.Printf("{\"issuer\": %q, \"choosing\": %q, \"refusing\": %q}\n", issuer, "http://choosing.localhost:"+sitePort, refusing)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return caddy.Stop()
}

// freePort returns a loopback port that is free at the moment.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening: %w", err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
