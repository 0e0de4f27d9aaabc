package oidcrp_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/jsondoc"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis" // for Caddyfiles that use it
)

var caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// documents returns the README and the files under docs, by name.
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

// identityProvider matches what only a Caddy with the module idp has.
var identityProvider = regexp.MustCompile(`(?m)^\s*(oidc_idp|builtin)\b`)

// TestEveryCaddyfileInTheDocumentsWorks adapts and provisions each Caddyfile, and
// checks that caddy fmt would not change it.
func TestEveryCaddyfileInTheDocumentsWorks(t *testing.T) {
	setDocumentedVariables(t)
	least := map[string]int{"README.md": 1, "docs/caddyfile.md": 12, "docs/recipes/grafana.md": 3, "docs/tutorial.md": 3, "docs/scaling.md": 3}
	files := documentedFiles(t)
	for name, text := range documents(t) {
		blocks := caddyfileBlock.FindAllStringSubmatch(text, -1)
		if len(blocks) < max(least[filepath.ToSlash(name)], isProviderPage(name)) {
			t.Errorf("%s: only %d Caddyfiles found", name, len(blocks))
		}
		for _, block := range blocks {
			if identityProvider.MatchString(block[1]) {
				continue // tested by the module idp
			}
			checkCaddyfile(t, name, strings.NewReplacer(documentsFolder, files, credentialsFolder, files).Replace(block[1]))
		}
	}
	for name, text := range deployedCaddyfiles(t) {
		checkCaddyfile(t, name, text)
	}
}

// deployedCaddyfiles returns the Caddyfiles of the folder deploy, by name.
func deployedCaddyfiles(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("deploy", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil && !strings.HasSuffix(name, "systemd") {
			t.Fatal(err)
		}
		if filepath.Base(name) == "Caddyfile" {
			all[name] = string(text)
		}
		if _, data, is := strings.Cut(string(text), "\n  Caddyfile: |\n"); is {
			data, _, _ = strings.Cut(data, "\n---\n")
			all[name] = strings.TrimPrefix(strings.ReplaceAll("\n"+data+"\n", "\n    ", "\n"), "\n")
		}
	}
	if len(all) != 2 {
		t.Errorf("deploy: expected two Caddyfiles, seen %d", len(all))
	}
	return all
}

// setDocumentedVariables sets the environment that the documents assume.
func setDocumentedVariables(t *testing.T) {
	t.Helper()
	for _, name := range []string{"OIDC", "CORP", "PARTNERS"} {
		t.Setenv(name+"_CLIENT_ID", "rp")
		t.Setenv(name+"_CLIENT_SECRET", "a secret of the test")
	}
	t.Setenv("SESSION_SECRET", strings.Repeat("a secret of the test ", 2))
	t.Setenv("REDIS_PASSWORD", "a secret of the test")
}

// The folder where the documents' Caddyfiles read keys and templates, and the one that
// systemd passes to Caddy.
const (
	documentsFolder   = "/etc/caddy/oidc"
	credentialsFolder = "/run/credentials/caddy.service"
)

// documentedFiles returns a folder that replaces documentsFolder.
func documentedFiles(t *testing.T) string {
	t.Helper()
	folder := operatorsFiles(t)
	keys, err := os.ReadFile(filepath.Join("testdata", "adapt", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "keys.json"), keys, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"secret": "a secret of the test\n", "oidc-client-id": "an id\n", "oidc-client-secret": "a secret\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.ToSlash(folder)
}

func checkCaddyfile(t *testing.T, name, text string) {
	t.Helper()
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("%s: caddy fmt would change\n%s\nto\n%s", name, text, formatted)
	}
	quiet := fmt.Sprintf(`{
	admin off
	storage file_system %s
}
`, t.TempDir())
	if strings.HasPrefix("\n"+text, "\n{\n") || strings.Contains(text, "\n{\n") {
		quiet = "" // it has its own global options
	}
	config, err := adapt(quiet + text)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
		return
	}
	checkConfig(t, name, text, config)
}

// checkConfig provisions a documented configuration, which must not cause a warning.
func checkConfig(t *testing.T, name, text string, config []byte) {
	t.Helper()
	logFile := filepath.Join(t.TempDir(), "log")
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "file", "filename": logFile}}}}
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := provision(config)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
		return
	}
	t.Cleanup(func() { unload.Config(ctx) })
	log, err := os.ReadFile(logFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, warning := range warningsIn(t, string(log)) {
		t.Errorf("%s: this configuration causes a warning: %s\n%s", name, warning, text)
	}
}

// isProviderPage returns 1 for a page about one provider, which has a Caddyfile.
func isProviderPage(name string) int {
	if filepath.Dir(name) == filepath.Join("docs", "providers") && filepath.Base(name) != "README.md" {
		return 1
	}
	return 0
}

// TestProviderPages checks that each page is in the index, names what to register, says
// which claims rules can use, and names only error codes that exist.
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
		for _, rule := range []string{"group", "email_domain", "acr", "amr", "max_age"} {
			if _, rules, _ := strings.Cut(text, "\n## For rules\n"); !strings.Contains(rules, "\n| `"+rule+"` | ") {
				t.Errorf("%s does not say what the rule %s needs there", name, rule)
			}
		}
		_, trouble, _ := strings.Cut(text, "| error code |")
		rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(trouble, -1)
		if len(rows) == 0 {
			t.Errorf("%s does not say what to do when it does not work", name)
		}
		for _, row := range rows {
			if _, known := errorcode.Lookup(row[1]); !known {
				t.Errorf("%s explains %s, which does not exist", name, row[1])
			}
		}
	}
}

// TestReadmeAndDocumentsLinkToWhatExists checks links to files and headings of this
// repository.
func TestReadmeAndDocumentsLinkToWhatExists(t *testing.T) {
	t.Parallel()
	all := documents(t)
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := name
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), filepath.FromSlash(m[1]))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if m[2] != "" && !slices.Contains(anchors(all[target]), m[2]) {
				t.Errorf("%s: %s has no headline %s", name, target, m[2])
			}
		}
	}
}

// anchors returns the fragments that GitHub makes of headings.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		word := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, "#"+strings.ReplaceAll(word, " ", "-"))
	}
	return all
}

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

// TestReadmeAndDocumentsHaveWorkingJSON provisions each configuration in JSON.
func TestReadmeAndDocumentsHaveWorkingJSON(t *testing.T) {
	setDocumentedVariables(t)
	found := 0
	for name, text := range documents(t) {
		for _, block := range jsonBlock.FindAllStringSubmatch(text, -1) {
			var config map[string]any
			if err := json.Unmarshal([]byte(block[1]), &config); err != nil {
				t.Errorf("%s: %v\n%s", name, err, block[1])
				continue
			}
			found++
			config["admin"] = map[string]any{"disabled": true}
			config["storage"] = map[string]any{"module": "file_system", "root": t.TempDir()}
			text, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, name, block[1], text)
		}
	}
	if found == 0 {
		t.Error("the documents show no configuration in JSON")
	}
}

// TestReadmeIsAFrontDoor checks that the README is short and links to the index of the
// documents.
func TestReadmeIsAFrontDoor(t *testing.T) {
	t.Parallel()
	readme := documents(t)["README.md"]
	if lines := strings.Count(readme, "\n"); lines > 220 {
		t.Errorf("README.md has %d lines; at most 220", lines)
	}
	if !strings.Contains(readme, "(docs/README.md)") {
		t.Error("README.md has no link to docs/README.md")
	}
}

// TestEveryDocumentIsInAnIndex checks that the README.md of a document's folder links
// to it. An index is linked from that of the folder above.
func TestEveryDocumentIsInAnIndex(t *testing.T) {
	t.Parallel()
	all := documents(t)
	for name := range all {
		folder := filepath.Dir(name)
		if filepath.Base(name) == "README.md" {
			folder = filepath.Dir(folder)
		}
		if name == "README.md" || name == filepath.Join("docs", "README.md") {
			continue
		}
		link, err := filepath.Rel(folder, name)
		if err != nil {
			t.Fatal(err)
		}
		if index := filepath.Join(folder, "README.md"); !strings.Contains(all[index], "("+filepath.ToSlash(link)+")") {
			t.Errorf("%s has no link to %s", index, name)
		}
	}
}

// TestReadmeAndDocumentsNameEverything checks that all options, fields, endpoints and
// error codes are documented, and that options have an example.
func TestReadmeAndDocumentsNameEverything(t *testing.T) {
	t.Parallel()
	all := documents(t)
	reference, errorPage := all[filepath.Join("docs", "caddyfile.md")], all[filepath.Join("docs", "errors.md")]
	for _, name := range errorcode.Codes() {
		if !strings.Contains(errorPage, "| `"+string(name)+"` | "+name.Message()+" |") {
			t.Errorf("docs/errors.md: the error code %s, or its sentence, is missing", name)
		}
	}
	for _, name := range errorcode.Reasons() {
		if !strings.Contains(errorPage, "| `"+string(name)+"` |") {
			t.Errorf("docs/errors.md: the reason %s is missing", name)
		}
	}
	var examples strings.Builder
	for _, block := range caddyfileBlock.FindAllStringSubmatch(reference, -1) {
		examples.WriteString(block[1])
	}
	options := slices.Clone(storeOptions)
	for _, b := range oidcrp.Blocks {
		options = append(options, b.Options...)
	}
	for _, name := range options {
		line := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(name) + `\b`)
		if !line.MatchString(reference[:strings.Index(reference, "## The directive")]) {
			t.Errorf("docs/caddyfile.md: the option %s is missing in the skeletons", name)
		}
		if !line.MatchString(examples.String()) {
			t.Errorf("docs/caddyfile.md: the option %s has no example", name)
		}
		if !strings.Contains(reference, "**`"+name) {
			t.Errorf("docs/caddyfile.md: the option %s is not explained", name)
		}
	}
	for _, name := range flow.EndpointNames() {
		if !strings.Contains(reference, "/{id}/"+name) {
			t.Errorf("docs/caddyfile.md: the endpoint %s is missing", name)
		}
	}
	for path, method := range oidcrp.AdminMethods() {
		if !strings.Contains(all[filepath.Join("docs", "operations.md")], "| `"+method+" "+path+"` |") {
			t.Errorf("docs/operations.md: the address %s of the admin API is missing", path)
		}
	}
	for _, config := range []any{oidcrp.App{}, oidcrp.Handler{}, oidcrp.ProviderConfig{}, oidcrp.ProviderTLSConfig{}, oidcrp.SessionConfig{}, oidcrp.CookieConfig{}, oidcrp.Route{}, siteconfig.Upstream{}, siteconfig.Application{}, siteconfig.Bearer{}, siteconfig.BearerJWT{}, siteconfig.BearerIntrospection{}, siteconfig.ResourceMetadata{}, siteconfig.SessionEndpoint{}, siteconfig.Check{}, siteconfig.Builtin{}, ruleconfig.Rule{}, ruleconfig.ClaimRule{}, ruleconfig.Profile{}} {
		of := reflect.TypeOf(config)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(all[filepath.Join("docs", "json.md")]) {
				t.Errorf("docs/json.md: the field %s of %s is missing", name, of.Name())
			}
		}
	}
}

// TestTheJSONReferenceNamesOptionsThatExist checks that each field of docs/json.md is
// an option of the block that the Caddyfile parsers have for its type, or that the page
// says what a Caddyfile has instead, and that no option of a block is missing.
func TestTheJSONReferenceNamesOptionsThatExist(t *testing.T) {
	t.Parallel()
	blocks := map[string][]string{}
	for of, place := range map[string]string{
		"..ProviderConfig": "of a provider", "..SessionConfig": "of session", "..CookieConfig": "of session { cookie { … } }", "..ProviderTLSConfig": "of a provider's tls", "..Handler": "of a site",
		"ruleconfig.Profile": "of a profile", "siteconfig.Upstream": "of upstream", "siteconfig.Application": "of application",
		"siteconfig.SessionEndpoint": "of session_endpoint", "siteconfig.Check": "of check",
	} {
		for _, block := range oidcrp.Blocks {
			if block.Place == place {
				blocks[of] = block.Options
			}
		}
		if blocks[of] == nil {
			t.Errorf("no block of a Caddyfile has the place %q", place)
		}
	}
	for of, options := range blocks {
		fields, err := jsondoc.OptionsOf(".", of)
		if err != nil {
			t.Fatal(err)
		}
		for _, option := range options {
			_, ofProvider := oidcrp.ProviderOptions[option] // a site may have it as well
			if !slices.Contains(fields, option) && (of != "..Handler" || !ofProvider) {
				t.Errorf("%s: no field is the option %s", of, option)
			}
		}
		for _, field := range fields {
			if !slices.Contains(options, field) {
				t.Errorf("%s: a Caddyfile has no option %s; say in internal/jsondoc/sections.go what it has instead", of, field)
			}
		}
	}
}

// storeOptions are those of the session stores.
var storeOptions = []string{"max_records", "timeout", "address", "cluster", "sentinel", "username", "password", "database", "prefix"}

// TestDocumentsShowEveryRule checks that docs/access.md has an example of each kind of
// rule.
func TestDocumentsShowEveryRule(t *testing.T) {
	t.Parallel()
	var examples strings.Builder
	for _, block := range caddyfileBlock.FindAllStringSubmatch(documents(t)[filepath.Join("docs", "access.md")], -1) {
		examples.WriteString(block[1])
	}
	for _, kind := range authz.Kinds(false) {
		if !regexp.MustCompile(`(?m)^\t+require ` + kind + `\b`).MatchString(examples.String()) {
			t.Errorf("docs/access.md has no example of the rule %s", kind)
		}
	}
}

// TestReadmeAndDocumentsInPlainEnglish looks for words that read as translated.
func TestReadmeAndDocumentsInPlainEnglish(t *testing.T) {
	t.Parallel()
	all := documents(t)
	delete(all, filepath.Join("docs", "matrix.md")) // it has names of tests
	changelog, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	all["CHANGELOG.md"] = string(changelog)
	foreign := regexp.MustCompile(`(?i)\b(nobody|anew|who asks|who keeps|who is not|(is|are) told|in the place of)\b`)
	for name, text := range all {
		for _, word := range foreign.FindAllString(text, -1) {
			t.Errorf("%s: write %q in other words", name, word)
		}
	}
}

// Every private path in the documents includes its folder.
func TestDocumentsNameTheFolderBesideWhatIsInIt(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, line := range regexp.MustCompile(`(?m)^\s*private (/.*)$`).FindAllStringSubmatch(text, -1) {
			patterns := strings.Fields(strings.TrimSuffix(line[1], "{"))
			for _, pattern := range patterns {
				if folder, ok := httpconfig.Folder(pattern); ok && httpconfig.MatchPath(patterns, folder) == httpconfig.No {
					t.Errorf("%s: %q leaves out %s", name, line[0], folder)
				}
			}
		}
	}
}

// In the documents, a rule about users that is made of Caddy's matchers is in a route
// block, so that handle blocks cannot bypass it.
func TestDocumentsPutRulesIntoRouteBlocks(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		for _, line := range regexp.MustCompile(`(?m)^(\t*)error @\w+ `).FindAllStringSubmatch(text, -1) {
			if len(line[1]) < 2 {
				t.Errorf("%s: %q is outside of a route block", name, line[0])
			}
		}
	}
}
