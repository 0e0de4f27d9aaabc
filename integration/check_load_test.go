package integration_test

import (
	"strings"
	"testing"
)

// loadCheck loads a configuration that uses check, as `caddy validate` does, and returns the
// error.
func loadCheck(t *testing.T, globals, address string, lines ...string) string {
	t.Helper()
	config, err := adapt(`
{
	admin off
	auto_https off
	persist_config off
	storage file_system ` + storageDir(t) + `
	` + globals + `
}
` + address + ` {
	oidc_rp {
		issuer https://login.example.com
		client_id rp
		client_secret "a secret of the test"
		` + strings.Join(lines, "\n") + `
	}
}
`)
	succeeds(required{t}, "adapting", err)
	if err = tryProvision(config); err != nil {
		return err.Error()
	}
	return ""
}

func TestCheckThatCannotWorkIsRefusedAtLoad(t *testing.T) {
	t.Parallel()
	const (
		check       = "check forwarded {\nhosts app.example.com\n}"
		store       = "session {\nstore memory\nidle_timeout 10m\nrefresh on\nrecheck 5m\n}"
		trusted     = "servers {\ntrusted_proxies static 10.0.0.5/32\n}"
		unix        = "servers {\ntrusted_proxies_unix\n}"
		elsewhere   = "servers :9000 {\ntrusted_proxies static 10.0.0.5/32\n}"
		noProxies   = "check answers trusted proxies alone"
		dropCookies = "other proxies drop the cookies"
	)
	for _, row := range []struct {
		name, globals string
		lines         []string
		want          string // in the error; empty for none
	}{
		{"no trusted proxies", "", []string{check}, noProxies},
		{"trusted proxies of another server", elsewhere, []string{check}, noProxies},
		{"trusted proxies", trusted, []string{check}, ""},
		{"trusted Unix sockets", unix, []string{check}, ""},
		{"no check and no trusted proxies", "", nil, ""},
		{"refresh", trusted, []string{check, "session {\nrefresh on\n}"}, "check: refresh updates sessions, and " + dropCookies},
		{"a token for the application, which implies refresh", trusted, []string{check, "upstream {\naccess_token\n}"}, dropCookies},
		{"a token for the application without refresh", trusted, []string{check, "upstream {\naccess_token\n}", "session {\nrefresh off\n}"}, ""},
		{"recheck", trusted, []string{check, "session {\nrecheck 5m\n}"}, "check: recheck updates"},
		{"idle_timeout", trusted, []string{check, "session {\nidle_timeout 10m\n}"}, "check: idle_timeout updates"},
		{"idle_timeout 0", trusted, []string{check, "session {\nidle_timeout 0\n}"}, ""},
		{"all of them with a store", trusted, []string{check, store}, ""},
		{"base_url of the host", trusted, []string{check, "base_url https://app.example.com"}, ""},
		{"base_url of another host", trusted, []string{check, "base_url https://wiki.example.com"}, "base_url pins the site to https://wiki.example.com"},
		{"base_url and several hosts", trusted, []string{"check forwarded {\nhosts app.example.com wiki.example.com\n}", "base_url https://app.example.com"}, "base_url pins"},
		{"base_url and a wildcard", trusted, []string{"check forwarded {\nhosts *.example.com\n}", "base_url https://app.example.com"}, "base_url pins"},
		{"a host that a placeholder leaves empty", trusted, []string{"check forwarded {\nhosts {env.NO_SUCH_HOST_OF_THE_TEST}\n}"}, "check: hosts: "},
	} {
		seen := loadCheck(t, row.globals, "http://app.example.com:8080", row.lines...)
		if row.want == "" && seen != "" {
			t.Errorf("%s: expected no error, seen %s", row.name, seen)
		}
		if !strings.Contains(seen, row.want) {
			t.Errorf("%s: expected an error with %q, seen %q", row.name, row.want, seen)
		}
	}
}
