package oidcidp_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp" // used by the sites in the documents
	oidcidp "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/operator"
)

var (
	documentedCaddyfile = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	identityProvider    = regexp.MustCompile(`(?m)^\s*(oidc_idp|builtin)\b`)
	variable            = regexp.MustCompile(`\{env\.([A-Z_]+)\}`)
	fileOf              = regexp.MustCompile(`\{file\.[^{}]+\}`)
)

// documents returns the README and all files under docs by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	read := func(name string) error {
		text, err := os.ReadFile(name)
		all[filepath.ToSlash(name)] = string(text)
		return err
	}
	if err := read("../README.md"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir("../docs", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".md" {
			return err
		}
		return read(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// theProvider is the configuration that a document omits when it shows only a site.
const theProvider = `{
	oidc_idp {
		issuer https://login.example.com
	}
}

login.example.com {
	oidc_idp
}

`

// All Caddyfiles in the documents that use the identity provider are formatted like the
// output of caddy fmt, load, and cause no warnings. The tests of the relying party cover
// the others.
func TestCaddyfilesOfTheIdentityProviderInTheDocuments(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for name, text := range documents(t) {
		for _, block := range documentedCaddyfile.FindAllStringSubmatch(text, -1) {
			if !identityProvider.MatchString(block[1]) {
				continue
			}
			count[name]++
			if formatted := string(caddyfile.Format([]byte(block[1]))); formatted != block[1] {
				t.Errorf("%s: expected a Caddyfile as caddy fmt writes it, seen\n%s", name, block[1])
			}
			for _, found := range variable.FindAllStringSubmatch(block[1], -1) {
				t.Setenv(found[1], "0123456789abcdef0123456789abcdef")
			}
			config := fileOf.ReplaceAllString(block[1], "{file."+secret+"}")
			if !strings.Contains(config, "oidc_idp {") {
				config = theProvider + config
			}
			if warnings, err := provisioned(t, config); err != nil || warnings != "" {
				t.Errorf("%s: expected a Caddyfile that works, seen %v %s\n%s", name, err, warnings, block[1])
			}
		}
	}
	for name, least := range map[string]int{"../docs/identity-provider.md": 8, "../docs/saml.md": 4, "../docs/programs.md": 1, "../docs/caddyfile.md": 1} {
		if count[name] < least {
			t.Errorf("%s: expected %d Caddyfiles, seen %d", name, least, count[name])
		}
	}
}

// provisioned loads a configuration without running it and returns the warnings it logs.
func provisioned(t *testing.T, text string) (warnings string, err error) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	log := filepath.Join(t.TempDir(), "log")
	var config map[string]any
	if err := json.Unmarshal(adapted, &config); err != nil {
		return "", err
	}
	config["admin"] = map[string]any{"disabled": true}
	config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
		"level": "WARN", "writer": map[string]any{"output": "file", "filename": log},
		"include": []string{"oidc_idp", "oidc_rp", "http.handlers.oidc_rp"},
	}}}
	if adapted, err = json.Marshal(config); err != nil {
		return "", err
	}
	var c caddy.Config
	if err := json.Unmarshal(adapted, &c); err != nil {
		return "", err
	}
	if err := caddy.Validate(&c); err != nil {
		return "", err
	}
	seen, err := os.ReadFile(log)
	if os.IsNotExist(err) {
		return "", nil
	}
	return string(seen), err
}

// The documents cover all options, operator commands and events, and have an example of
// each option.
func TestTheDocumentsNameEverything(t *testing.T) {
	t.Parallel()
	all := documents(t)
	manual, external := all["../docs/identity-provider.md"], all["../docs/saml.md"]
	var examples strings.Builder
	for _, block := range documentedCaddyfile.FindAllStringSubmatch(manual+external, -1) {
		examples.WriteString(block[1])
	}
	for _, block := range oidcidp.Blocks {
		for _, option := range block.Options {
			described := "**`" + option
			if strings.Contains(block.Place, "external provider") {
				described = "`" + option
			}
			if !strings.Contains(manual+external, described) {
				t.Errorf("expected the option %s %s in the documents, seen none", option, block.Place)
			}
		}
	}
	for _, option := range []string{"issuer", "database", "authenticator", "external", "client", "mail", "password", "lockout", "mfa", "factors", "session"} {
		if !regexp.MustCompile(`(?m)^\t+` + option + `\b`).MatchString(examples.String()) {
			t.Errorf("expected an example of the option %s, seen none", option)
		}
	}
	for _, command := range oidcidp.CommandLines() {
		if !regexp.MustCompile("`" + command + "[ `]").MatchString(manual) {
			t.Errorf("expected the command %s in docs/identity-provider.md, seen none", command)
		}
	}
	for _, event := range operator.Events() {
		if !strings.Contains(manual, "`"+event+"`") {
			t.Errorf("expected the event %s in docs/identity-provider.md, seen none", event)
		}
	}
}
