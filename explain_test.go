package oidcrp_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const explainEnv = "OIDC_RP_EXPLAIN"

// TestExplain runs the explain command in its own process, since it loads
// configurations as Caddy does.
func TestExplain(t *testing.T) {
	t.Parallel()
	inOwnProcess(t, explainEnv, "TestExplainHelper")
}

// The sites of the command's tests.
const explainedSites = `
{
	oidc_rp {
		provider corp {
			issuer https://login.corp.example
			client_id c
		}
		provider partner {
			issuer https://login.partner.example
			client_id c
		}
		default_provider corp
		profile staff {
			require group staff
			deny claim on_leave true
		}
	}
}

http://app.test {
	oidc_rp {
		provider corp partner
		require profile staff
		known_users list alice bob carol
		private /admin /admin/* {
			require group admins
			require max_age 15m
		}
		private /mail {
			require scope openid
			require scope email
		}
		public /assets/*
	}
}

http://other.test {
	oidc_rp public {
		provider corp
		private /in/*
	}
}
`

// TestExplainHelper is the process of TestExplain.
func TestExplainHelper(t *testing.T) {
	if os.Getenv(explainEnv) == "" {
		return
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	config := write("Caddyfile", explainedSites)
	for _, row := range []struct {
		name, claims, args string
		code               int
		says               []string
	}{
		{"a user who may enter", `{"preferred_username": "alice", "groups": ["staff"]}`, "--site app.test", 0,
			[]string{"user      alice (provider corp)", "✔ require group staff", "verdict   allowed: all rules are satisfied"}},
		{"a user in no group", `{"preferred_username": "alice"}`, "--site app.test", 3,
			[]string{"✘ require group staff", "✔ deny claim on_leave true", "verdict   refused: require group staff"}},
		{"a user whom deny refuses", `{"preferred_username": "bob", "groups": ["staff"], "on_leave": true}`, "--site app.test", 3,
			[]string{"✘ deny claim on_leave true"}},
		{"a path with several readings", `{"preferred_username": "alice", "groups": ["staff"]}`, "--site app.test --path /admin;x/y", 3,
			[]string{"/admin;x/y", "/admin", "private /admin /admin/*", "✘ require group admins"}},
		{"a path that is encoded twice", `{"preferred_username": "alice", "groups": ["staff"]}`, "--site app.test --path /%2561dmin/x", 3,
			[]string{"/admin/x", "✘ require group admins"}},
		{"a sign-in that is too old", `{"preferred_username": "alice", "groups": ["staff", "admins"]}`, "--site app.test --path /admin", 3,
			[]string{"! require max_age 15m", "verdict   sign_in: require max_age 15m"}},
		{"scopes that are requested", `{"preferred_username": "alice", "groups": ["staff"]}`, "--site app.test --path /mail", 0,
			[]string{"✔ require scope openid", "✔ require scope email"}},
		{"a public path", `{"preferred_username": "alice", "groups": ["staff"]}`, "--site app.test --path /assets/a.png", 0,
			[]string{"public /assets/*", "verdict   allowed: the page is public"}},
		{"a public path, with a user whom a rule refuses", `{"preferred_username": "alice"}`, "--site app.test --path /assets/a.png", 0,
			[]string{"the user is anonymous there: require group staff"}},
		{"a user of another provider", `{"preferred_username": "alice", "groups": ["staff"]}`, "--site app.test --provider partner", 3,
			[]string{"no directory of known_users knows the user"}},
		{"a user whom no directory knows", `{"preferred_username": "mallory", "groups": ["staff"]}`, "--site app.test", 3,
			[]string{"no directory of known_users knows the user"}},
		{"a user without a name", `{"sub": ""}`, "--site app.test", 3, []string{"no claim names the user"}},
		{"a site without rules", `{"preferred_username": "alice"}`, "--site other.test --path /in/x", 0, []string{"rules     none", "there are no rules"}},
		{"as JSON", `{"preferred_username": "alice"}`, "--site app.test --json", 3, []string{`"verdict": "refused"`, `"rule": "require group staff"`}},

		{"several sites", `{}`, "", 1, []string{"several sites have oidc_rp; name one with --site: app.test; other.test"}},
		{"a site that is none", `{}`, "--site app.tst", 1, []string{`no oidc_rp guards a site "app.tst"`, "did you mean"}},
		{"a provider that is none", `{}`, "--site app.test --provider crop", 1, []string{`the site has no provider "crop"`, "did you mean"}},
		{"a path that is none", `{}`, "--site app.test --path admin", 1, []string{"is not the path of a request"}},
		{"claims that are none", `[]`, "--site app.test", 1, []string{"is not a JSON object of claims"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			args := append([]string{"explain", "--config", config, "--adapter", "caddyfile", "--claims", write("claims.json", row.claims)}, strings.Fields(row.args)...)
			out, err := execute(t, args...)
			if got := exitCode(err); got != row.code {
				t.Errorf("expected the exit code %d, seen %d: %v\n%s", row.code, got, err, out)
			}
			if err != nil {
				out += err.Error()
			}
			for _, text := range row.says {
				if !strings.Contains(out, text) {
					t.Errorf("expected %q, seen\n%s", text, out)
				}
			}
		})
	}
	choice := []string{
		"explain", "--config", write("Caddyfile.choice", strings.Replace(explainedSites, "default_provider corp", "", 1)), "--adapter", "caddyfile",
		"--site", "app.test", "--claims", write("claims.json", `{"preferred_username": "alice"}`),
	}
	if _, err := execute(t, choice...); err == nil || !strings.Contains(err.Error(), "no default provider; name one with --provider: corp, partner") {
		t.Errorf("without a default provider: expected an error that names them, seen %v", err)
	}
	if out, _ := execute(t, append(choice, "--provider", "corp")...); !strings.Contains(out, "no directory of known_users knows the user") {
		t.Errorf("without a default provider: expected corp/alice to be unknown, seen\n%s", out)
	}
	if out, err := execute(t, "explain", "--config", config); err == nil || !strings.Contains(err.Error(), "--claims is missing") {
		t.Errorf("without claims: expected an error that says so, seen %v\n%s", err, out)
	}
}

// exitCode returns the code that Caddy would exit with.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if _, code, ok := strings.Cut(err.Error(), "exiting with status "); ok {
		if number, err := strconv.Atoi(code); err == nil {
			return number
		}
	}
	return 1
}
