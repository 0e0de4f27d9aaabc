package oidcidp_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var (
	documentedCaddyfile = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	variable            = regexp.MustCompile(`\{env\.([A-Z_]+)\}`)
	fileOf              = regexp.MustCompile(`\{file\.[^{}]+\}`)
)

// TestCaddyfilesOfTheIdentityProviderInTheDocuments: each is as caddy fmt writes it,
// and can be loaded. Those without the identity provider are tested with the relying
// party.
func TestCaddyfilesOfTheIdentityProviderInTheDocuments(t *testing.T) {
	names, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, name := range append(names, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range documentedCaddyfile.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(block[1], "oidc_idp {") {
				continue
			}
			count++
			if formatted := string(caddyfile.Format([]byte(block[1]))); formatted != block[1] {
				t.Errorf("%s: expected a Caddyfile as caddy fmt writes it, seen\n%s", name, block[1])
			}
			for _, found := range variable.FindAllStringSubmatch(block[1], -1) {
				t.Setenv(found[1], "0123456789abcdef0123456789abcdef")
			}
			if err := provisioned(fileOf.ReplaceAllString(block[1], "{file."+secret+"}")); err != nil {
				t.Errorf("%s: expected a Caddyfile that works, seen %v\n%s", name, err, block[1])
			}
		}
	}
	if count == 0 {
		t.Error("expected Caddyfiles, seen none")
	}
}

// provisioned loads a configuration without running it.
func provisioned(text string) error {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	return caddy.Validate(&c)
}
