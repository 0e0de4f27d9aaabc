package oidcrp_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Fault A2.
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

// Fault A2. Only instances that one request may come to are held to it.
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

// A private page where everyone in the world can sign in needs a rule, at the site or
// on each route.
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
