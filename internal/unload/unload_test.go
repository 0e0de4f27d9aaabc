package unload_test

import (
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
)

func TestConfigCancelsTheContext(t *testing.T) {
	t.Parallel()
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("expected a context in use, seen %v", ctx.Err())
	}
	unload.Config(ctx)
	if ctx.Err() == nil {
		t.Error("expected a canceled context, seen one in use")
	}
}
