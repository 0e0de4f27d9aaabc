package integration_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// checked returns what `caddy oidc-rp check` prints about a Caddyfile.
func checked(t *testing.T, caddyfile string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	root, out := &cobra.Command{Use: "oidc-rp", SilenceErrors: true, SilenceUsage: true}, new(bytes.Buffer)
	caddycmd.Commands()["oidc-rp"].CobraFunc(root)
	root.SetOut(out)
	root.SetErr(out)
	root.SetArgs([]string{"check", "--config", file, "--adapter", "caddyfile"})
	provisioning.Lock()
	defer provisioning.Unlock()
	if err := root.Execute(); err != nil {
		out.WriteString("error: " + err.Error())
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// The doctor checks the identity provider of a configuration that is not running: its
// database, which it does not create, and its site.
func TestTheDoctorLooksAtTheIdentityProvider(t *testing.T) {
	for name, row := range map[string]struct {
		site     string
		database func(t *testing.T, folder string) string // returns the value of the option
		want     []string
	}{
		"at the first start": {"http://login.test {\n\toidc_idp\n}", func(_ *testing.T, folder string) string { return "sqlite " + filepath.Join(folder, "accounts.db") },
			[]string{"✔ provider: the identity provider of this Caddy", "✔ database: SQLite, ", "is not there yet: it is made when the provider opens", "✔ site of the issuer: https://login.test"}},
		"with a file that others can read": {"http://login.test {\n\toidc_idp\n}", func(t *testing.T, folder string) string {
			file := filepath.Join(folder, "accounts.db")
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			return "sqlite " + file
		}, []string{"✘ database: other users can access the database", "→ Run the check as the user who runs Caddy."}},
		"with a PostgreSQL that does not answer": {"http://login.test {\n\toidc_idp\n}", func(*testing.T, string) string { return "postgres://idp:canary-4711@127.0.0.1:1/accounts" },
			[]string{"✘ database: ", "connect", "→ Check host, name, user and password of the option database"}},
		"without a site": {"http://other.test {\n\trespond ok\n}", func(_ *testing.T, folder string) string { return "sqlite " + filepath.Join(folder, "accounts.db") },
			[]string{"✘ site of the issuer: no site with the handler oidc_idp has the host of the issuer", "→ Add a site login.test with the directive oidc_idp."}},
		"with a site of other handlers": {"http://login.test {\n\toidc_idp\n\trespond ok\n}", func(_ *testing.T, folder string) string { return "sqlite " + filepath.Join(folder, "accounts.db") },
			[]string{"✘ site of the issuer: the site of the identity provider has other handlers", "→ Move what else is in that site"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := folderOf(t)
			report := checked(t, `
{
	admin off
	auto_https off
	persist_config off
	storage file_system `+folder+`/storage
	oidc_idp {
		issuer https://login.test
		database `+row.database(t, folder)+`
	}
}
`+row.site+`
http://app.test {
	oidc_rp {
		builtin
	}
	respond ok
}
`)
			for _, want := range row.want {
				if !strings.Contains(report, want) {
					t.Errorf("expected %q, seen %s", want, report)
				}
			}
			if strings.Contains(report, "canary") {
				t.Errorf("expected no password, seen %s", report)
			}
			if name == "at the first start" {
				if _, err := os.Stat(filepath.Join(folder, "accounts.db")); !os.IsNotExist(err) {
					t.Errorf("expected that the check makes no database, seen %v", err)
				}
			}
		})
	}
}
