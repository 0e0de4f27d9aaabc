package oidcrp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

// Caddy warns if a site protects the files in a folder but not the folder itself.
func TestPrivateFoldersAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, directive, warned string }{
		{"two folders", `oidc_rp public {
			private /account/* /admin/*
			import any_provider
		}`, noFolder},
		{"the folder itself, too", `oidc_rp public {
			private /account /account/*
			import any_provider
		}`, ""},
		{"all that begins like it", `oidc_rp public {
			private /account*
			import any_provider
		}`, ""},
		{"the folder itself on another line", `oidc_rp public {
			private /account/*
			private /account
			import any_provider
		}`, ""},
		{"the folder itself is public", `oidc_rp public {
			private /account/*
			public /account
			import any_provider
		}`, ""},
		{"the folder itself is public, before", `oidc_rp public {
			public /account
			private /account/*
			import any_provider
		}`, ""},
		{"the root", `oidc_rp public {
			private /*
			import any_provider
		}`, ""},
		{"everything", `oidc_rp public {
			private *
			import any_provider
		}`, ""},
		{"a folder of a private site", `oidc_rp {
			private /account/*
			import any_provider
		}`, ""},
		{"a named matcher", `oidc_rp public {
			private @named
			import any_provider
		}`, noFolder},
		{"the matcher of the directive", `oidc_rp /account/* {
			import any_provider
		}`, noFolder},
		{"a named matcher of the directive with both", `oidc_rp @both {
			import any_provider
		}`, ""},
		{"the matcher of a public directive", `oidc_rp /account/* public {
			import any_provider
		}`, ""},
		{"a folder below the matcher", `oidc_rp @account public {
			private /account/deep/*
			import any_provider
		}`, noFolder},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log, err := loaded(t, fmt.Sprintf(`app.example.com {
				@named path /account/*
				@both path /account /account/*
				@account path /account /account/*
				%s
			}`, tc.directive))
			if err != nil {
				t.Fatal(err)
			}
			warnings := warningsIn(t, log)
			if tc.warned == "" {
				if len(warnings) > 0 {
					t.Errorf("expected no warnings, seen %q", warnings)
				}
				return
			}
			if len(warnings) == 0 {
				t.Fatalf("expected the warning %q, seen none", tc.warned)
			}
			for _, want := range []string{tc.warned, `"not_matched":"/account`} {
				if !strings.Contains(warnings[0], want) {
					t.Errorf("expected a warning with %q, seen %s", want, warnings[0])
				}
			}
		})
	}
}

// Caddy warns if all guards of a site are inside handle blocks that do not serve the
// endpoints.
func TestGuardsInsideHandleAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, site, warned string }{
		{"alone", `handle /wiki/* {
			import guard
		}`, noEndpoints},
		{"handle_path", `handle_path /wiki/* {
			import guard
		}`, noEndpoints},
		{"route with a path", `route /wiki/* {
			import guard
		}`, noEndpoints},
		{"a named matcher", `@wiki {
			path /wiki/*
			method GET POST
		}
		handle @wiki {
			import guard
		}`, noEndpoints},
		{"a regular expression", `@wiki path_regexp ^/wiki/
		handle @wiki {
			import guard
		}`, noEndpoints},
		{"an expression", `@wiki expression path('/wiki/*')
		handle @wiki {
			import guard
		}`, noEndpoints},
		{"handle in handle", `handle {
			handle /wiki/* {
				import guard
			}
		}`, noEndpoints},
		{"a named route", `handle /wiki/* {
			invoke inner
		}`, noEndpoints},
		{"endpoints in a handle, too", `handle /wiki/* {
			import guard
		}
		handle /x/* {
			oidc_rp endpoints {
				provider corp
			}
		}`, noEndpoints},
		{"endpoints under another prefix", `oidc_rp endpoints {
			provider corp
			endpoints /other
		}
		handle /wiki/* {
			import guard
		}`, noEndpoints},
		{"with endpoints", `oidc_rp endpoints {
			provider corp
		}
		handle /wiki/* {
			import guard
		}`, ""},
		{"beside a guard of the rest", `handle /wiki/* {
			import guard
		}
		handle {
			import guard
		}`, ""},
		{"a handle for everything", `handle {
			import guard
		}`, ""},
		{"endpoints where the handle is", `handle /wiki/* {
			oidc_rp {
				provider corp
				endpoints /wiki/auth
			}
		}`, ""},
		{"a handle that leaves something out", `@rest not path /api/*
		handle @rest {
			import guard
		}`, ""},
		{"a handle by other things than the path", `@intern remote_ip 10.0.0.0/8
		handle @intern {
			import guard
		}`, ""},
		{"a matcher of its own", `oidc_rp /wiki* {
			provider corp
		}`, ""},
		{"an expression that names the endpoints", `@w expression path('/wiki/*', '/@app/auth/*')
		handle @w {
			import guard
		}`, ""},
		{"an expression that leaves something out", `@w expression "{path}.startsWith('/api/') == false"
		handle @w {
			import guard
		}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			named := ""
			if strings.Contains(tc.site, "invoke") {
				named = `&(inner) {
					route {
						import guard
					}
				}`
			}
			for _, address := range []string{"app.example.com", ":8443"} {
				log, err := loaded(t, fmt.Sprintf(`%s
				%s {
					%s
				}`, named, address, tc.site), corpShared)
				if err != nil {
					t.Fatal(err)
				}
				found := false
				for _, warning := range warningsIn(t, log) {
					if strings.Contains(warning, "answers to any host name") {
						continue
					}
					found = true
					if tc.warned == "" {
						t.Errorf("%s: expected no warning, seen %s", address, warning)
					}
					if !strings.Contains(warning, tc.warned) {
						t.Errorf("%s: expected the warning %q, seen %s", address, tc.warned, warning)
					}
				}
				if !found && tc.warned != "" {
					t.Errorf("%s: no warning, want %q", address, tc.warned)
				}
			}
		})
	}
}

// An instance for other providers does not serve this provider's endpoints.
func TestGuardInsideHandleWithAnotherProvider(t *testing.T) {
	t.Parallel()
	config := `app.example.com {
		oidc_rp endpoints {
			import any_provider
		}
		handle /wiki/* {
			oidc_rp {
				provider corp
			}
		}
	}`
	holdLoaded(t, config, "", noEndpoints, corpShared)
}

// Caddy warns about rules made of Caddy's matchers that requests can bypass.
func TestGroupRulesThatDoNotHoldAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, site, warned string }{
		{"beside handle blocks", `import guard_and_matcher
		error @stranger 403
		handle /admin/* {
			respond admin
		}
		handle {
			respond rest
		}`, loadcheck.RuleBehindHandle},
		{"respond beside handle blocks", `import guard_and_matcher
		respond @stranger 403
		handle {
			respond rest
		}`, loadcheck.RuleBehindHandle},
		{"abort beside handle blocks", `import guard_and_matcher
		abort @stranger
		handle {
			respond rest
		}`, loadcheck.RuleBehindHandle},
		{"for a path", `import guard_and_matcher
		@both {
			path /admin /admin/*
			expression "!('admins' in {http.auth.user.groups})"
		}
		error @both 403`, loadcheck.RuleByPath},
		{"for a path in the expression", `import guard_and_matcher
		@both expression "path('/admin/*') && !('admins' in {http.auth.user.groups})"
		error @both 403`, loadcheck.RuleByPath},
		{"beside a handle block for some pages", `import guard_and_matcher
		error @stranger 403
		handle /health {
			respond ok
		}
		reverse_proxy 127.0.0.1:1`, "does not hold for what handle and route blocks answer"},
		{"for a whole site", `import guard_and_matcher
		error @stranger 403
		reverse_proxy 127.0.0.1:1`, ""},
		{"in a route block", `import guard_and_matcher
		route {
			error @stranger 403
			reverse_proxy 127.0.0.1:1
		}`, ""},
		{"in a route block before handle blocks", `import guard_and_matcher
		route {
			error @stranger 403
			handle {
				reverse_proxy 127.0.0.1:1
			}
		}`, ""},
		{"about something else", `import guard_and_matcher
		@get method GET
		error @get 403
		handle {
			respond rest
		}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, fmt.Sprintf(`app.example.com {
				%s
			}`, tc.site), "", tc.warned)
		})
	}
}

func TestWhereALogoutEndsAtLoad(t *testing.T) {
	t.Parallel()
	const again = "signed_out leads to a private page"
	for _, tc := range []struct{ name, directive, refused, warned string }{
		{"a private page", `oidc_rp {
			signed_out /
			import any_provider
		}`, "", again},
		{"a private page with a query", `oidc_rp {
			signed_out /bye?x=1
			import any_provider
		}`, "", again},
		{"a public page", `oidc_rp {
			signed_out /bye
			public /bye
			import any_provider
		}`, "", ""},
		{"a page of a public site", `oidc_rp public {
			signed_out /
			import any_provider
		}`, "", ""},
		{"another site", `oidc_rp {
			signed_out https://www.example.com/
			import any_provider
		}`, "", ""},
		{"the logout itself", `oidc_rp {
			signed_out /Special:UserLogout
			import any_provider
		}`, "signed_out: is one of our own addresses", ""},
		{"the logout itself with a query", `oidc_rp {
			signed_out /Special:UserLogout?x=1
			import any_provider
		}`, "signed_out: is one of our own addresses", ""},
		{"an endpoint", `oidc_rp public {
			signed_out /@app/auth/default/signedout
			import any_provider
		}`, "signed_out: is one of our own addresses", ""},
		{"a configured logout", `oidc_rp public {
			logout_path /out
			signed_out /out
			import any_provider
		}`, "signed_out: is one of our own addresses", ""},
		{"a logout at the home page", `oidc_rp public {
			logout_path /out
			home /out
			import any_provider
		}`, "logout_path: is the home page", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, fmt.Sprintf(`app.example.com {
				%s
			}`, tc.directive), tc.refused, tc.warned)
		})
	}
}
