package integration_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// registered returns the log lines that say what to register at providers.
func (r *harness) registered() (lines []map[string]any) {
	r.t.Helper()
	for text := range strings.Lines(r.logs()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			r.t.Fatalf("%v: %s", err, text)
		}
		if line["msg"] == "register these addresses at the provider" {
			lines = append(lines, line)
		}
	}
	return lines
}

// The addresses to register are logged before anyone signs in.
func TestAddressesToRegisterAreLoggedAtLoad(t *testing.T) {
	t.Parallel()
	corp := `
oidc_rp {
	provider corp {
		issuer https://login.corp.example
		client_id rp
	}
	provider off {
		issuer https://off.example
		client_id rp
		disabled
	}
	default_provider corp
}
`
	both := `
oidc_rp {
	provider corp off
}
`
	for _, tc := range []struct {
		name, sites string
		globals     []string
		want        []string
	}{
		{"https", `
			https://a.d3.test {
				` + both + `
			}
		`, []string{corp}, []string{"https://a.d3.test/@app/auth/corp/code"}},
		{"two names", `
			https://b.d3.test, https://c.d3.test {
				` + both + `
			}
		`, []string{corp}, []string{"https://b.d3.test/@app/auth/corp/code", "https://c.d3.test/@app/auth/corp/code"}},
		{"another port", `
			https://d.d3.test:8443 {
				` + both + `
			}
		`, []string{corp}, []string{"https://d.d3.test:8443/@app/auth/corp/code"}},
		{"the port that Caddy has for https", `
			https://e.d3.test {
				` + both + `
			}
		`, []string{"https_port 8443", corp}, []string{"https://e.d3.test/@app/auth/corp/code"}},
		{"behind a proxy with TLS", `
			http://f.d3.test:8080 {
				` + both + `
			}
		`, []string{corp}, []string{"https://f.d3.test/@app/auth/corp/code"}},
		{"plain HTTP that is allowed", `
			http://g.d3.test:8080 {
				oidc_rp {
					provider corp
					session {
						cookie {
							insecure
						}
					}
				}
			}
		`, []string{corp}, []string{"http://g.d3.test:8080/@app/auth/corp/code"}},
		{"loopback", `
			http://localhost:8080 {
				` + both + `
			}
		`, []string{corp}, []string{"http://localhost:8080/@app/auth/corp/code"}},
		{"base_url", `
			http://h.d3.internal {
				oidc_rp {
					provider corp
					base_url https://h.d3.test
				}
			}
		`, []string{corp}, []string{"https://h.d3.test/@app/auth/corp/code"}},
		{"base_url of any host", `
			:8080 {
				oidc_rp {
					provider corp
					base_url https://i.d3.test
				}
			}
		`, []string{corp}, []string{"https://i.d3.test/@app/auth/corp/code"}},
		{"any host", `
			:8080 {
				` + both + `
			}
		`, []string{corp}, nil},
		{"a wildcard", `
			https://*.j.d3.test {
				` + both + `
			}
		`, []string{corp}, nil},
		{"another prefix", `
			https://k.d3.test {
				oidc_rp {
					provider corp
					endpoints /sso
				}
			}
		`, []string{corp}, []string{"https://k.d3.test/sso/corp/code"}},
		{"a redirect_path", `
			https://l.d3.test {
				oidc_rp {
					issuer https://login.example.com
					client_id rp
					redirect_path /callback
				}
			}
		`, nil, []string{"https://l.d3.test/callback"}},
		{"endpoints beside guards", `
			https://m.d3.test {
				oidc_rp endpoints {
					provider corp
				}
				handle /x* {
					` + both + `
				}
				handle {
					` + both + `
				}
			}
		`, []string{corp}, []string{"https://m.d3.test/@app/auth/corp/code"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newHarnessAt(t, storageDir(t), tc.sites, tc.globals...)
			lines := r.registered()
			var got []string
			for _, line := range lines {
				got = append(got, line["redirect_uri"].(string))
			}
			list(t, "the announced addresses", got, tc.want...)
		})
	}
}

// The log line has the addresses of all endpoints that need to be registered.
func TestAllAddressesToRegister(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), `
https://all.d3.test {
	oidc_rp {
		`+options(newOP(t))+`
	}
}
`)
	lines := r.registered()
	if len(lines) != 1 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	holdFields(t, lines[0], map[string]any{
		"provider": "default", "redirect_uri": "https://all.d3.test/@app/auth/default/code",
		"post_logout_redirect_uri": "https://all.d3.test/@app/auth/default/signedout",
		"backchannel_logout_uri":   "https://all.d3.test/@app/auth/default/backchannel-logout",
		"frontchannel_logout_uri":  "https://all.d3.test/@app/auth/default/frontchannel-logout",
	})
}

// A reload logs only new addresses. A site for any host logs its addresses at the first login.
func TestAddressesToRegisterAreNotRepeated(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := `
https://rp.test {
	oidc_rp {
		` + options(op) + `
	}
	reverse_proxy {upstream}
}
`
	first := newHarnessAt(t, storage, site)
	if lines := first.registered(); len(lines) != 1 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	second := newHarnessAt(t, storage, `
`+site+`
https://new.d3.test {
	oidc_rp {
		`+options(op)+`
	}
}
`)
	lines := second.registered()
	equal(required{t}, "after a reload: the number of lines", len(lines), 1)
	equal(t, "after a reload: redirect_uri", lines[0]["redirect_uri"], "https://new.d3.test/@app/auth/default/code")
	signedIn(t, first)
	if lines := first.registered(); len(lines) != 1 {
		t.Errorf("after a login: %v", lines)
	}
	any := newHarnessAt(t, storageDir(t), `
:8080 {
	oidc_rp {
		`+options(newOP(t))+`
	}
	reverse_proxy {upstream}
}
`)
	if lines := any.registered(); len(lines) != 0 {
		t.Errorf("a site for any host, before a login: %v", lines)
	}
	signedIn(t, any)
	lines = any.registered()
	equal(required{t}, "a site for any host, after a login: the number of lines", len(lines), 1)
	equal(t, "a site for any host, after a login: redirect_uri", lines[0]["redirect_uri"], "https://rp.test/@app/auth/default/code")
}
