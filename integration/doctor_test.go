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

// TestDoctor runs the command check on whole configurations, whose reports are golden
// files.
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
