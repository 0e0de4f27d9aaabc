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

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp"
)

var (
	caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	ofProvider     = regexp.MustCompile(`(?m)^\s*(oidc_idp|builtin)\b`)
)

// TestEveryCaddyfileInTheDocumentsWorks adapts and provisions those that the tests of the
// root cannot: with the identity provider. One without the global option gets it.
func TestEveryCaddyfileInTheDocumentsWorks(t *testing.T) {
	files := t.TempDir()
	for name, text := range map[string]string{
		"metadata.xml": "", "logo.svg": "<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "key.pem": "",
	} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"SMTP_USER", "SMTP_PASSWORD", "WIKI_SECRET", "PGPASSWORD", "CLIENT_SECRET", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"} {
		t.Setenv(name, "a-secret-of-the-test")
	}
	count := 0
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range caddyfileBlock.FindAllStringSubmatch(string(text), -1) {
			if !ofProvider.MatchString(block[1]) {
				continue
			}
			count++
			if formatted := caddyfile.Format([]byte(block[1])); string(formatted) != block[1] {
				t.Errorf("%s: expected what caddy fmt writes:\n%s", page, formatted)
			}
			checkDocumented(t, page, strings.ReplaceAll(block[1], "/etc/caddy/oidc", filepath.ToSlash(files)))
		}
	}
	if count == 0 {
		t.Error("expected a Caddyfile with the identity provider, seen none")
	}
}

func checkDocumented(t *testing.T, page, text string) {
	t.Helper()
	const global = "\toidc_idp {\n\t\tissuer https://login.example.com\n\t}\n"
	switch {
	case regexp.MustCompile(`(?m)^\toidc_idp \{`).MatchString(text):
	case strings.HasPrefix(text, "{\n"):
		text = "{\n" + global + strings.TrimPrefix(text, "{\n")
	default:
		text = "{\n" + global + "}\n" + text
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Errorf("%s: %v\n%s", page, err, text)
		return
	}
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c["storage"] = map[string]any{"module": "file_system", "root": t.TempDir()}
	if config, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	var whole caddy.Config
	if err := json.Unmarshal(config, &whole); err != nil {
		t.Fatal(err)
	}
	if _, err := caddy.ProvisionContext(&whole); err != nil {
		t.Errorf("%s: %v\n%s", page, err, text)
	}
}
