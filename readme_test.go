package oidcrp

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis" // which some of the Caddyfiles need
)

var caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// documents are the README and everything under docs, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	read := func(name string) error {
		text, err := os.ReadFile(name)
		all[name] = string(text)
		return err
	}
	if err := read("README.md"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir("docs", func(name string, _ fs.DirEntry, err error) error {
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

// TestEveryCaddyfileInTheDocumentsWorks adapts and provisions each, and holds
// it to what caddy fmt makes of it.
func TestEveryCaddyfileInTheDocumentsWorks(t *testing.T) {
	for _, name := range []string{"OIDC", "CORP", "PARTNERS"} {
		t.Setenv(name+"_CLIENT_ID", "rp")
		t.Setenv(name+"_CLIENT_SECRET", "a secret of the test")
	}
	t.Setenv("SESSION_SECRET", strings.Repeat("a secret of the test ", 2))
	least := map[string]int{"README.md": 5}
	for name, text := range documents(t) {
		blocks := caddyfileBlock.FindAllStringSubmatch(text, -1)
		if len(blocks) < max(least[name], isProviderPage(name)) {
			t.Errorf("%s: only %d Caddyfiles found", name, len(blocks))
		}
		for _, block := range blocks {
			checkCaddyfile(t, name, block[1])
		}
	}
}

func checkCaddyfile(t *testing.T, name, text string) {
	t.Helper()
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("%s: caddy fmt would change\n%s\nto\n%s", name, text, formatted)
	}
	quiet := "{\nadmin off\nstorage file_system " + t.TempDir() + "\n}\n"
	if strings.HasPrefix("\n"+text, "\n{\n") || strings.Contains(text, "\n{\n") {
		quiet = "" // has global options of its own
	}
	config, err := adapt(quiet + text)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
		return
	}
	logFile := filepath.Join(t.TempDir(), "log")
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "file", "filename": logFile}}}}
	if config, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if _, err := provision(config); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
		return
	}
	log, err := os.ReadFile(logFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, warning := range warningsIn(t, string(log)) {
		t.Errorf("%s: this Caddyfile is warned about: %s\n%s", name, warning, text)
	}
}

// isProviderPage is 1 for a page about one provider, which has a Caddyfile.
func isProviderPage(name string) int {
	if filepath.Dir(name) == filepath.Join("docs", "providers") && filepath.Base(name) != "README.md" {
		return 1
	}
	return 0
}

// TestProviderPages: each is in the index, names what to register, and only
// error codes that exist.
func TestProviderPages(t *testing.T) {
	t.Parallel()
	all := documents(t)
	index := all[filepath.Join("docs", "providers", "README.md")]
	for name, text := range all {
		if isProviderPage(name) == 0 {
			continue
		}
		if !strings.Contains(index, "("+filepath.Base(name)+")") {
			t.Errorf("%s is not in the index", name)
		}
		if !strings.Contains(text, "| `https://app.example.com/@app/auth/default/code` |") {
			t.Errorf("%s does not name the redirect URI", name)
		}
		_, trouble, _ := strings.Cut(text, "| error code |")
		rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(trouble, -1)
		if len(rows) == 0 {
			t.Errorf("%s does not say what to do when it does not work", name)
		}
		for _, row := range rows {
			if _, known := codes[code(row[1])]; !known {
				t.Errorf("%s explains %s, which does not exist", name, row[1])
			}
		}
	}
}

// TestLinksBetweenDocumentsLeadSomewhere, as far as they lead to files.
func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
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
	for path, endpoint := range adminEndpoints {
		if !strings.Contains(text, "| `"+endpoint.method+" "+path+"` |") {
			t.Errorf("the address %s of the admin API is missing", path)
		}
	}
}
