package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// TestDoctor runs the command check on complete configurations and compares its reports with
// golden files.
func TestDoctor(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	golden, err := filepath.Abs("testdata/doctor")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		code int
		lie  func(l *oidctest.Faults)
		site func(op *oidctest.Provider) string
	}{
		{"well", 0, nil, func(op *oidctest.Provider) string { return protectedBy(op) }},
		{"wrong-secret", 2, nil, func(op *oidctest.Provider) string {
			return strings.Replace(protectedBy(op), op.Client().Secret, "another-secret", 1)
		}},
		{"slash", 2, nil, func(op *oidctest.Provider) string {
			return strings.Replace(protectedBy(op), op.Issuer(), op.Issuer()+"/", 1)
		}},
		{"clock", 2, func(l *oidctest.Faults) { l.At(oidctest.Discovery).Header = dated(5 * time.Minute) },
			func(op *oidctest.Provider) string { return protectedBy(op) }},
		{"not-registered", 2, nil, func(op *oidctest.Provider) string { return protectedBy(op, "redirect_path /callback") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			op := oidctest.New(t, oidctest.Lenient())
			op.Register("https://app.example.com/@app/auth/default/code")
			op.SignOut()
			if row.lie != nil {
				op.Lie(row.lie)
			}
			inFolder(t)
			diagnose(t, `app.example.com {
	`+row.site(op)+`
	respond "hello"
}
`).exits(row.code).isGolden(golden, row.name, op)
		})
	}
	t.Run("a configuration that is none", func(t *testing.T) {
		inFolder(t)
		diagnose(t, `app.example.com {
	oidc_rp {
		isuer https://login.example.com
	}
}
`).exits(2).isGolden(golden, "typo", nil)
	})
	t.Run("several sites", func(t *testing.T) {
		op := oidctest.New(t, oidctest.Lenient())
		op.Register("https://app.example.com/@app/auth/corp/code", "https://wiki.example.com/@app/auth/corp/code")
		op.SignOut()
		inFolder(t)
		if err := os.WriteFile("claims.json", []byte(`{"preferred_username": "alice", "email": "alice@example.com", "groups": ["staff", "admins"]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		diagnoseWith(t, `
	oidc_rp {
		provider corp {
			`+options(op)+`
		}
	}
`, `
app.example.com {
	oidc_rp {
		public /assets/* /robots.txt
		private /assets/secret/*
		known_users list alice bob
		require group staff
	}
	file_server
}

wiki.example.com {
	@folder path_regexp ^/Private/
	oidc_rp public {
		private @folder /account/*
		error_pages caddy
		session {
			store storage
		}
	}
	file_server
	handle_errors {
		file_server
	}
}

:8443 {
	oidc_rp {
		session {
			store memory
		}
	}
}
`, "--claims", "claims.json").exits(0).isGolden(golden, "sites", op)
	})
	t.Run("one site alone", func(t *testing.T) {
		op := oidctest.New(t, oidctest.Lenient())
		op.SignOut()
		inFolder(t)
		sites := `
app.example.com {
	` + protectedBy(op) + `
}

wiki.example.com {
	` + protectedBy(op) + `
}
`
		d := diagnose(t, sites, "--site", "wiki.example.com").exits(2).says("wiki.example.com")
		lacks(t, "the report", d.text, "app.example.com")
		diagnose(t, sites, "--site", "wki.example.com").exits(1).says("no oidc_rp is at a site wki.example.com; there are: ", "did you mean")
	})
	t.Run("strictly", func(t *testing.T) {
		op := oidctest.New(t, oidctest.Lenient())
		op.Register("https://app.example.com/@app/auth/default/code")
		op.SignOut()
		inFolder(t)
		site := `
app.example.com {
	` + protectedBy(op, "scopes openid groups") + `
}
`
		diagnose(t, site).exits(0).says("0 failures, 1 warning")
		diagnose(t, site, "--strict").exits(1).says("0 failures, 1 warning")
	})
	t.Run("as JSON", func(t *testing.T) {
		op := oidctest.New(t, oidctest.Lenient())
		inFolder(t)
		d := diagnose(t, `app.example.com {
	`+protectedBy(op)+`
}
`, "--json").exits(2)
		var report struct {
			Sites []struct {
				Site      string
				Providers []struct {
					ID     string
					Checks []struct{ Check, Status, Remedy string }
				}
			}
			Failures int
		}
		if err := json.Unmarshal([]byte(d.text), &report); err != nil {
			t.Fatalf("%v\n%s", err, d.text)
		}
		equal(t, "failures", report.Failures, 1)
		equal(t, "site", report.Sites[0].Site, "app.example.com")
		equal(t, "provider", report.Sites[0].Providers[0].ID, "default")
		lacks(t, "the report", d.text, op.Client().Secret)
	})
	t.Run("sites of one host at two ports are apart", func(t *testing.T) {
		op := oidctest.New(t, oidctest.Lenient())
		inFolder(t)
		d := diagnose(t, `
http://localhost:8000 {
	`+protectedBy(op)+`
}

http://localhost:8003 {
	`+protectedBy(op)+`
}
`)
		first, second, _ := strings.Cut(d.text, "localhost at :8003")
		contains(t, "the first site", first, "http://localhost:8000/@app/auth/default/code")
		lacks(t, "the first site", first, "http://localhost:8003")
		contains(t, "the second site", second, "http://localhost:8003/@app/auth/default/code")
		lacks(t, "the second site", second, "http://localhost:8000")
	})
	t.Run("nothing is left in the storage", func(t *testing.T) {
		op := oidctest.New(t, oidctest.Lenient())
		inFolder(t)
		diagnose(t, `app.example.com {
	`+protectedBy(op)+`
}
`)
		left, err := os.ReadDir("data")
		succeeds(t, "reading the storage", err)
		equal(t, "files in the storage", len(left), 0)
	})
}
