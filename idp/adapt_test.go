package oidcidp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/idp"
)

var update = flag.Bool("update", false, "write what the adapter says into testdata/adapt; review it")

const goldenSeparator = "\n----------\n"

// golden is one file of testdata/adapt: a Caddyfile, a line of dashes, and then either the
// resulting JSON or a part of the expected error.
type golden struct{ name, path, caddyfile, expected string }

func goldens(t testing.TB) (all []golden) {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("expected golden files, seen none")
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		input, expected, found := strings.Cut(strings.ReplaceAll(string(data), "\r\n", "\n"), goldenSeparator)
		if !found {
			t.Fatalf("%s has no line of dashes", path)
		}
		all = append(all, golden{strings.TrimSuffix(filepath.Base(path), ".caddyfiletest"), path, input + "\n", strings.TrimSpace(expected)})
	}
	return all
}

var filePlace = regexp.MustCompile(`Caddyfile:\d+\b`)

func TestAdapt(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			input := string(caddyfile.Format([]byte(g.caddyfile)))
			got, err := adapted(input)
			if err != nil {
				got = err.Error()
			}
			if *update {
				if err := os.WriteFile(g.path, []byte(strings.TrimSuffix(input, "\n")+goldenSeparator+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if input != g.caddyfile {
				t.Errorf("expected the file as caddy fmt writes it, seen\n%s", g.caddyfile)
			}
			if got != g.expected {
				t.Errorf("expected\n%s\nseen\n%s", g.expected, got)
			}
			if err != nil && !filePlace.MatchString(got) {
				t.Errorf("expected an error that names the line, seen %q", got)
			}
		})
	}
}

// adapted returns the tab-indented JSON that a Caddyfile adapts to.
func adapted(text string) (string, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, config, "", "\t")
	return indented.String(), err
}
