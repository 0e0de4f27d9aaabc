package integration_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
)

func adapt(text string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// patiently sets longer timeouts for a busy machine, unless the configuration sets its own: for
// connections to the application instead of Caddy's three seconds, and for providers instead of
// ten seconds.
func patiently(t *testing.T, config []byte) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, child := range node {
				walk(child)
			}
		case map[string]any:
			if node["handler"] == "reverse_proxy" && node["transport"] == nil {
				node["transport"] = map[string]any{"protocol": "http", "dial_timeout": "1m"}
			}
			if node["issuer"] != nil && node["client_id"] != nil && node["timeout"] == nil {
				node["timeout"] = "2m"
			}
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	config, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// provisioning serializes provisioning, as Caddy does, because its modules register metrics in
// globals.
var provisioning sync.Mutex

func provision(config []byte, its ...*clock.Clock) (caddy.Context, error) {
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return caddy.Context{}, err
	}
	provisioning.Lock()
	defer provisioning.Unlock()
	for _, c := range its {
		defer clock.Use(c)()
	}
	return caddy.ProvisionContext(&c)
}

// tryProvision reports whether a configuration can be provisioned.
func tryProvision(config []byte) error {
	ctx, err := provision(config)
	if err == nil {
		unload.Config(ctx)
	}
	return err
}
