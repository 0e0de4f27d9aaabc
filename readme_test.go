package oidcrp

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// TestEveryCaddyfileInTheReadmeWorks adapts and provisions each, and holds it
// to what caddy fmt makes of it.
func TestEveryCaddyfileInTheReadmeWorks(t *testing.T) {
	for _, name := range []string{"OIDC", "CORP", "PARTNERS"} {
		t.Setenv(name+"_CLIENT_ID", "rp")
		t.Setenv(name+"_CLIENT_SECRET", "a secret of the test")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := caddyfileBlock.FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 5 {
		t.Fatalf("only %d Caddyfiles found", len(blocks))
	}
	for _, block := range blocks {
		text := block[1]
		if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
			t.Errorf("caddy fmt would change\n%s\nto\n%s", text, formatted)
		}
		quiet := "{\nadmin off\nstorage file_system " + t.TempDir() + "\n}\n"
		if strings.HasPrefix(text, "{") {
			quiet = "" // has global options of its own
		}
		config, err := adapt(quiet + text)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if _, err := provision(config); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// TestReadmeNamesEverything: options, endpoints and error codes that exist are
// in the README, error codes with what people read.
func TestReadmeNamesEverything(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(readme)
	for name, c := range codes {
		if !strings.Contains(text, "| `"+string(name)+"` | "+c.message+" |") {
			t.Errorf("the error code %s, or its sentence, is missing", name)
		}
	}
	for name := range providerOptions {
		if !strings.Contains(text, "`"+name) {
			t.Errorf("the provider option %s is missing", name)
		}
	}
	for name := range sessionOptions {
		if !strings.Contains(text, "| `"+name) {
			t.Errorf("the session option %s is missing", name)
		}
	}
	for name := range endpoints {
		if !strings.Contains(text, "/{id}/"+name) {
			t.Errorf("the endpoint %s is missing", name)
		}
	}
}
