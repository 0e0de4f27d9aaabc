package oidcrp_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Instances on one site must not give one provider ID two meanings.
func TestEqualProviderIDsOnOneSite(t *testing.T) {
	t.Parallel()
	site := func(first, second string) string {
		return fmt.Sprintf(`app.example.com {
			handle /admin* {
				oidc_rp {
					provider corp {
						%s
					}
				}
			}
			handle {
				oidc_rp {
					provider corp {
						%s
					}
				}
			}
		}`, first, second)
	}
	for _, tc := range []struct{ name, first, second, refused string }{
		{"equal", "import any_provider", "import any_provider", ""},
		{"defaults that are written down", "import any_provider", `import any_provider
		username_claim preferred_username sub
		groups_claim groups
		claims {
			role role
		}`, ""},
		{"what does not say who the user is", "import any_provider", `import any_provider
		scopes openid email
		authorization_params {
			max_age 60
		}`, ""},
		{"issuer", "import any_provider", `issuer https://login.example.org
		client_id rp`, `issuer ("https://login.example.com" and "https://login.example.org")`},
		{"configuration_url for the issuer", "import any_provider", `configuration_url https://login.example.com/.well-known/openid-configuration
		client_id rp`, ""},
		{"client_id", "import any_provider", `issuer https://login.example.com
		client_id other`, "client_id ("},
		{"username_claim", "import any_provider", `import any_provider
		username_claim nickname`, "username_claim ("},
		{"order of username_claim", `import any_provider
		username_claim a b`, `import any_provider
		username_claim b a`, "username_claim ("},
		{"groups_claim", `import any_provider
		groups_claim roles`, "import any_provider", "groups_claim ("},
		{"claims", `import any_provider
		claims {
			role a
		}`, `import any_provider
		claims {
			role b
		}`, "claims role ("},
		{"claims of one alone", `import any_provider
		claims {
			role a
		}`, "import any_provider", "claims role ("},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, site(tc.first, tc.second))
			if tc.refused != "" {
				tc.refused = "site app.example.com: provider corp: two instances of this site have different values of " + tc.refused
			}
			holdRefused(t, err, tc.refused, log)
		})
	}
}

func TestBoundTokensAndApplicationsThatGetThem(t *testing.T) {
	t.Parallel()
	const refused = "provider corp: dpop on and upstream { access_token } exclude each other, since the application has no key to use a bound token with; remove access_token, or use dpop auto"
	for _, tc := range []struct{ name, dpop, upstream, refused string }{
		{"on, and the application gets the access token", "dpop on", "access_token", "site app.example.com: " + refused},
		{"on, and it gets the access token in a header of its own", "dpop on", "access_token X-Token", "site app.example.com: " + refused},
		{"on, and it gets the ID token", "dpop on", "id_token", ""},
		{"auto, and it gets the access token", "dpop auto", "access_token", ""},
		{"off, and it gets the access token", "dpop off", "access_token", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, fmt.Sprintf(`app.example.com {
				oidc_rp {
					provider corp {
						import any_provider
						%s
					}
					upstream {
						%s
					}
				}
			}`, tc.dpop, tc.upstream))
			holdRefused(t, err, tc.refused, log)
		})
	}
}

// Only instances that can serve the same request must agree on a provider ID.
func TestEqualProviderIDsElsewhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, config, refused string }{
		{"two sites", `a.example.com {
			oidc_rp {
				import any_provider
			}
		}
		b.example.com {
			oidc_rp {
				import other_provider
			}
		}`, ""},
		{"a site and the rest", `a.example.com {
			oidc_rp {
				import any_provider
			}
		}
		:443 {
			oidc_rp {
				base_url https://x.example
				import other_provider
			}
		}`, ""},
		{"hosts of a wildcard site", `*.example.com {
			@a host a.example.com
			handle @a {
				oidc_rp {
					import any_provider
				}
			}
			@b host b.example.com
			handle @b {
				oidc_rp {
					import other_provider
				}
			}
		}`, ""},
		{"one host of a wildcard site and all of it", `*.example.com {
			oidc_rp /x/* {
				import any_provider
			}
			@a host a.example.com
			handle @a {
				oidc_rp {
					import other_provider
				}
			}
		}`, "two instances of this site"},
		{"endpoints and cookies of their own", `a.example.com {
			handle /a* {
				oidc_rp {
					endpoints /a/auth
					logout_path /a/out
					session {
						cookie a
					}
					import any_provider
				}
			}
			handle {
				oidc_rp {
					import other_provider
				}
			}
		}`, ""},
		{"any host, in one site", `:443 {
			handle /a* {
				oidc_rp {
					base_url https://x.example
					import any_provider
				}
			}
			handle {
				oidc_rp {
					base_url https://x.example
					import other_provider
				}
			}
		}`, "two instances of this site"},
		{"in a named route", `&(inner) {
			route {
				oidc_rp {
					import other_provider
				}
			}
		}
		a.example.com {
			oidc_rp {
				import any_provider
			}
			invoke inner
		}`, "two instances of this site"},
		{"in an import", `(inner) {
			oidc_rp /x/* {
				import other_provider
			}
		}
		a.example.com {
			oidc_rp {
				import any_provider
			}
			import inner
		}`, "two instances of this site"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, tc.config)
			holdRefused(t, err, tc.refused, log)
		})
	}
}

func TestTheExampleIsNotWarnedAbout(t *testing.T) {
	for _, name := range []string{"CORP_CLIENT_ID", "CORP_CLIENT_SECRET", "PARTNERS_CLIENT_ID"} {
		t.Setenv(name, "of a test")
	}
	text, err := os.ReadFile("example.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	checkCaddyfile(t, "example.Caddyfile", string(text))
}

// A provider where anyone in the world can sign in needs a rule on each private site or
// private route.
func TestProvidersForTheWholeWorldNeedARule(t *testing.T) {
	t.Parallel()
	const missing = "signs in everyone in the world"
	for _, row := range []struct{ name, directive, err string }{
		{"a private site", `oidc_rp {
			issuer https://accounts.google.com
			client_id c
		}`, missing},
		{"a private site with a rule", `oidc_rp {
			issuer https://accounts.google.com
			client_id c
			require email_domain corp.example
		}`, ""},
		{"a public site", `oidc_rp public {
			issuer https://accounts.google.com
			client_id c
		}`, ""},
		{"a private route of a public site", `oidc_rp public {
			issuer https://accounts.google.com
			client_id c
			private /a /a/* {
				require any_user
			}
			private /b /b/*
		}`, "private /b /b/*: provider default (https://accounts.google.com) " + missing},
		{"a metadata address alone", `oidc_rp {
			configuration_url https://accounts.google.com/.well-known/openid-configuration
			client_id c
		}`, missing},
		{"known users", `oidc_rp {
			issuer https://accounts.google.com
			client_id c
			known_users list alice@gmail.com
		}`, ""},
		{"a disabled provider", `oidc_rp {
			issuer https://accounts.google.com
			client_id c
			disabled
		}`, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := loaded(t, `http://app.test {
				`+row.directive+`
			}`)
			holdRefused(t, err, row.err, "")
			if err != nil && !strings.HasSuffix(err.Error(), "require any_user") {
				t.Errorf("expected an error that ends with the line to add, seen %v", err)
			}
		})
	}
}

// loginHosts returns a login host and a site, with additional lines for each.
func loginHosts(host, site string) string {
	return fmt.Sprintf(`
auth.example.com {
	oidc_rp {
		import any_provider
		%s
	}
}
app.example.net {
	oidc_rp {
		import any_provider
		%s
	}
}
`, host, site)
}

// What a login host and its sites cannot do is refused at load, and so by caddy
// validate as well.
func TestLoginHostsAtLoad(t *testing.T) {
	t.Parallel()
	const at, secret = "login_at https://auth.example.com", "session {\nsecret 0123456789abcdef0123456789abcdef\n}"
	const redis = "session {\nstore redis redis://127.0.0.1:6379/0\nsecret 0123456789abcdef0123456789abcdef\n}"
	for _, tc := range []struct{ name, config, refused, warned string }{
		{"a login host and a site", loginHosts("login_for app.example.net", at), "", ""},
		{"a port that is the usual one", loginHosts("login_for app.example.net:443", at), "", ""},
		{"a wildcard", loginHosts("login_for *.example.net", at), "", ""},
		{"both at one site", loginHosts("login_for app.example.net", at+"\nlogin_for x.example"), "a login host sends its own logins to the provider", ""},
		{"the site itself", loginHosts("login_for app.example.net", "login_at https://app.example.net"), "is this site itself", ""},
		{"the site's base_url", loginHosts("login_for app.example.net", "login_at https://app.example.net\nbase_url https://app.example.net"), "is this site itself", ""},
		{"plain HTTP", loginHosts("login_for app.example.net", "login_at http://auth.example.com"), "needs https", ""},
		{"a login host of another configuration", loginHosts("", "login_at https://auth.example.org"), "", ""},
		{"a site that is no login host", loginHosts("", at), "which serves no logins of others", ""},
		{"a login host for others", loginHosts("login_for other.example.net", at), "does not name app.example.net", ""},
		{"a login host for another port", loginHosts("login_for app.example.net:8443", at), "does not name app.example.net", ""},
		{"other endpoints", loginHosts("login_for app.example.net\nendpoints /auth", at), "has other endpoints", ""},
		{"no provider in common", strings.Replace(loginHosts("login_for app.example.net", at), "import any_provider", "import other_provider", 1), "no provider with the issuer and the client id", ""},
		{"a secret alone at the site", loginHosts("login_for app.example.net", at+"\n"+secret), "with a secret alone there is none", ""},
		{"a secret alone at the login host", loginHosts("login_for app.example.net\n"+secret, ""), "with a secret alone there is none", ""},
		{"sessions in memory at the site", loginHosts("login_for app.example.net", at+"\nsession {\nstore memory\n}"), "with store memory there is none", ""},
		{"sessions in memory at the login host", loginHosts("login_for app.example.net\nsession {\nstore memory\n}", ""), "with store memory there is none", ""},
		{"sessions in the storage at one of them", loginHosts("login_for app.example.net", at+"\nsession {\nstore storage\n}"), "", ""},
		{"sessions in Redis at both", loginHosts("login_for app.example.net\n"+redis, at+"\n"+redis), "", ""},
		{"sessions in Redis at one of them", loginHosts("login_for app.example.net", at+"\n"+redis), "keeps its sessions in another place", ""},
		{"other secrets", loginHosts("login_for app.example.net\n"+redis, at+"\n"+strings.ReplaceAll(redis, "abcdef", "fedcba")), "with other secrets", ""},
		{"an access token for the application", loginHosts("login_for app.example.net", at+"\nupstream {\naccess_token\n}"), "hands over no tokens, so upstream cannot", ""},
		{"an ID token for the application", loginHosts("login_for app.example.net", at+"\nupstream {\nid_token\n}"), "hands over no tokens, so upstream cannot", ""},
		{"refresh", loginHosts("login_for app.example.net", at+"\nsession {\nrefresh on\n}"), "so refresh and recheck cannot", ""},
		{"recheck", loginHosts("login_for app.example.net", at+"\nsession {\nrecheck 5m\n}"), "so refresh and recheck cannot", ""},
		{"recheck at the login host", loginHosts("login_for app.example.net\nsession {\nrecheck 5m\n}", at), "", ""},
		{"a wildcard that a wildcard site would serve", strings.Replace(loginHosts("login_for *.example.net", at), "app.example.net {", "*.example.net {", 1), "", "a wildcard of login_for stands for names"},
		{"a name of a wildcard site", strings.Replace(loginHosts("login_for app.example.net", at), "app.example.net {", "*.example.net {", 1), "", ""},
		{"a wildcard elsewhere", strings.Replace(loginHosts("login_for *.example.org", at), "app.example.net {", "*.example.net {", 1), "", ""},
		{"a wildcard that a pinned site would serve", strings.Replace(loginHosts("login_for *.example.net", at+"\nbase_url https://app.example.net"), "app.example.net {", "*.example.net {", 1), "", "base_url pins"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, tc.config)
			holdRefused(t, err, tc.refused, log)
			holdWarnings(t, log, tc.warned)
		})
	}
}

// A site for any host would serve every name of a wildcard.
func TestALoginHostWarnsOfACatchAll(t *testing.T) {
	t.Parallel()
	log, err := loaded(t, strings.Replace(loginHosts("login_for *.example.net", "login_at https://auth.example.com"), "app.example.net {", "https:// {", 1))
	holdRefused(t, err, "", log)
	for _, want := range []string{"answers to any host name", "a wildcard of login_for stands for names"} {
		if !strings.Contains(log, want) {
			t.Errorf("expected the warning %q, seen %s", want, log)
		}
	}
}
