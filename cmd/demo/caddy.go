package main

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // the modules of the Caddyfile, and its adapter

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp" // the plugin
	oidcidp "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
)

// caddyfile is the configuration, which is meant to be read by people as well.
//
//go:embed Caddyfile
var caddyfile []byte

// startCaddy runs Caddy in this process with the embedded Caddyfile, and returns
// when it serves its sites. variables are environment variables for the
// Caddyfile.
func startCaddy(variables map[string]string) error {
	for name, value := range variables {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %s for the Caddyfile: %w", name, err)
		}
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return fmt.Errorf("reading the Caddyfile: %w", err)
	}
	for _, warning := range warnings {
		slog.Warn(warning.Message, "file", warning.File, "line", warning.Line)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	return nil
}

// addUsers adds the users of the demo to the identity provider, unless they exist
// from an earlier run.
func addUsers() error {
	module, err := caddy.ActiveContext().App("oidc_idp")
	if err != nil {
		return fmt.Errorf("finding the identity provider: %w", err)
	}
	provider := module.(*oidcidp.App)
	for _, u := range users {
		err := provider.Operate(context.Background(), "user/add", map[string]any{
			"name": u.Name, "password": u.Password, "display_name": u.DisplayName, "given_name": u.GivenName, "family_name": u.FamilyName,
			"email": u.Email, "email_verified": true, "groups": u.Groups,
		}, nil)
		if err != nil && provider.Operate(context.Background(), "user/show", map[string]any{"user": u.Name}, nil) != nil {
			return fmt.Errorf("adding the user %s: %w", u.Name, err)
		}
	}
	return nil
}

// stopCaddy stops the Caddy that startCaddy started.
func stopCaddy() error {
	if err := caddy.Stop(); err != nil {
		return fmt.Errorf("stopping Caddy: %w", err)
	}
	return nil
}
