package oidcrp_test

import (
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

// Fault A8.
func TestPrivateFoldersAtLoad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ directive, warned string }{
		{"oidc_rp public {\nprivate /account/* /admin/*", noFolder},
		{"oidc_rp public {\nprivate /account /account/*", ""},
		{"oidc_rp public {\nprivate /account*", ""},
		{"oidc_rp public {\nprivate /account/*\nprivate /account", ""},
		{"oidc_rp public {\nprivate /account/*\npublic /account", ""},
		{"oidc_rp public {\npublic /account\nprivate /account/*", ""},
		{"oidc_rp public {\nprivate /*", ""},
		{"oidc_rp public {\nprivate *", ""},
		{"oidc_rp {\nprivate /account/*", ""},
		{"oidc_rp public {\nprivate @named", noFolder},
		{"oidc_rp /account/* {", noFolder},
		{"oidc_rp @both {", ""},
		{"oidc_rp /account/* public {", ""},
		{"oidc_rp @account public {\nprivate /account/deep/*", noFolder},
	} {
		t.Run(strings.ReplaceAll(tc.directive, "/", "_"), func(t *testing.T) {
			t.Parallel()
			config := "app.example.com {\n@named path /account/*\n@both path /account /account/*\n@account path /account /account/*\n" + tc.directive + "\n" + anyProvider + "}\n}"
			log, err := loaded(t, config)
			if err != nil {
				t.Fatal(err)
			}
			warnings := warningsIn(t, log)
			if (tc.warned == "") != (len(warnings) == 0) || len(warnings) > 0 && (!strings.Contains(warnings[0], tc.warned) || !strings.Contains(warnings[0], `"not_matched":"/account`)) {
				t.Errorf("the warnings are %q, want %q", warnings, tc.warned)
			}
		})
	}
}

// Fault C5.
func TestGuardsInsideHandleAtLoad(t *testing.T) {
	t.Parallel()
	guard := `
oidc_rp {
	provider corp
}
`
	for _, tc := range []struct{ name, site, warned string }{
		{"alone", "handle /wiki/* {\n" + guard + "}", noEndpoints},
		{"handle_path", "handle_path /wiki/* {\n" + guard + "}", noEndpoints},
		{"route with a path", "route /wiki/* {\n" + guard + "}", noEndpoints},
		{"a named matcher", "@wiki {\npath /wiki/*\nmethod GET POST\n}\nhandle @wiki {\n" + guard + "}", noEndpoints},
		{"a regular expression", "@wiki path_regexp ^/wiki/\nhandle @wiki {\n" + guard + "}", noEndpoints},
		{"an expression", "@wiki expression path('/wiki/*')\nhandle @wiki {\n" + guard + "}", noEndpoints},
		{"handle in handle", "handle {\nhandle /wiki/* {\n" + guard + "}\n}", noEndpoints},
		{"a named route", "handle /wiki/* {\ninvoke inner\n}", noEndpoints},
		{"endpoints in a handle, too", "handle /wiki/* {\n" + guard + "}\nhandle /x/* {\noidc_rp endpoints {\nprovider corp\n}\n}", noEndpoints},
		{"endpoints under another prefix", "oidc_rp endpoints {\nprovider corp\nendpoints /other\n}\nhandle /wiki/* {\n" + guard + "}", noEndpoints},
		{"with endpoints", "oidc_rp endpoints {\nprovider corp\n}\nhandle /wiki/* {\n" + guard + "}", ""},
		{"beside a guard of the rest", "handle /wiki/* {\n" + guard + "}\nhandle {\n" + guard + "}", ""},
		{"a handle for everything", "handle {\n" + guard + "}", ""},
		{"endpoints where the handle is", "handle /wiki/* {\noidc_rp {\nprovider corp\nendpoints /wiki/auth\n}\n}", ""},
		{"a handle that leaves something out", "@rest not path /api/*\nhandle @rest {\n" + guard + "}", ""},
		{"a handle by other things than the path", "@intern remote_ip 10.0.0.0/8\nhandle @intern {\n" + guard + "}", ""},
		{"a matcher of its own", "oidc_rp /wiki* {\nprovider corp\n}", ""},
		{"an expression that names the endpoints", "@w expression path('/wiki/*', '/@app/auth/*')\nhandle @w {\n" + guard + "}", ""},
		{"an expression that leaves something out", "@w expression `{path}.startsWith('/api/') == false`\nhandle @w {\n" + guard + "}", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			named := ""
			if strings.Contains(tc.site, "invoke") {
				named = "&(inner) {\nroute {\n" + guard + "}\n}\n"
			}
			for _, address := range []string{"app.example.com", ":8443"} {
				config := named + address + " {\n" + tc.site + "\n}"
				log, err := loaded(t, config, corpShared)
				if err != nil {
					t.Fatal(err)
				}
				found := false
				for _, warning := range warningsIn(t, log) {
					if strings.Contains(warning, "answers to any host name") {
						continue
					}
					if found = true; tc.warned == "" || !strings.Contains(warning, tc.warned) {
						t.Errorf("%s: got the warning %s", address, warning)
					}
				}
				if !found && tc.warned != "" {
					t.Errorf("%s: no warning, want %q", address, tc.warned)
				}
			}
		})
	}
}

// Fault C5, for a provider whose endpoints another instance does not have.
func TestGuardInsideHandleWithAnotherProvider(t *testing.T) {
	t.Parallel()
	config := "app.example.com {\noidc_rp endpoints {\n" + anyProvider + "}\nhandle /wiki/* {\noidc_rp {\nprovider corp\n}\n}\n}"
	holdLoaded(t, config, "", noEndpoints, corpShared)
}

// Fault A7. Rules made of Caddy's matchers that do not hold.
func TestGroupRulesThatDoNotHoldAtLoad(t *testing.T) {
	t.Parallel()
	guard := "oidc_rp {\n" + anyProvider + "}\n@stranger expression `!('admins' in {http.auth.user.groups})`\n"
	for _, tc := range []struct{ name, site, warned string }{
		{"beside handle blocks", guard + "error @stranger 403\nhandle /admin/* {\nrespond admin\n}\nhandle {\nrespond rest\n}", loadcheck.RuleBehindHandle},
		{"respond beside handle blocks", guard + "respond @stranger 403\nhandle {\nrespond rest\n}", loadcheck.RuleBehindHandle},
		{"abort beside handle blocks", guard + "abort @stranger\nhandle {\nrespond rest\n}", loadcheck.RuleBehindHandle},
		{"for a path", guard + "@both {\npath /admin /admin/*\nexpression `!('admins' in {http.auth.user.groups})`\n}\nerror @both 403", loadcheck.RuleByPath},
		{"for a path in the expression", guard + "@both expression `path('/admin/*') && !('admins' in {http.auth.user.groups})`\nerror @both 403", loadcheck.RuleByPath},
		{"beside a handle block for some pages", guard + "error @stranger 403\nhandle /health {\nrespond ok\n}\nreverse_proxy 127.0.0.1:1", "does not hold for what handle and route blocks answer"},
		{"for a whole site", guard + "error @stranger 403\nreverse_proxy 127.0.0.1:1", ""},
		{"in a route block", guard + "route {\nerror @stranger 403\nreverse_proxy 127.0.0.1:1\n}", ""},
		{"in a route block before handle blocks", guard + "route {\nerror @stranger 403\nhandle {\nreverse_proxy 127.0.0.1:1\n}\n}", ""},
		{"about something else", guard + "@get method GET\nerror @get 403\nhandle {\nrespond rest\n}", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, "app.example.com {\n"+tc.site+"\n}", "", tc.warned)
		})
	}
}

func TestWhereALogoutEndsAtLoad(t *testing.T) {
	t.Parallel()
	const again = "signed_out leads to a private page"
	for _, tc := range []struct{ directive, refused, warned string }{
		{"oidc_rp {\nsigned_out /", "", again},
		{"oidc_rp {\nsigned_out /bye?x=1", "", again},
		{"oidc_rp {\nsigned_out /bye\npublic /bye", "", ""},
		{"oidc_rp public {\nsigned_out /", "", ""},
		{"oidc_rp {\nsigned_out https://www.example.com/", "", ""},
		{"oidc_rp {\nsigned_out /Special:UserLogout", "signed_out: is one of our own addresses", ""},
		{"oidc_rp {\nsigned_out /Special:UserLogout?x=1", "signed_out: is one of our own addresses", ""},
		{"oidc_rp public {\nsigned_out /@app/auth/default/signedout", "signed_out: is one of our own addresses", ""},
		{"oidc_rp public {\nlogout_path /out\nsigned_out /out", "signed_out: is one of our own addresses", ""},
		{"oidc_rp public {\nlogout_path /out\nhome /out", "logout_path: is the home page", ""},
	} {
		t.Run(strings.ReplaceAll(tc.directive, "/", "_"), func(t *testing.T) {
			t.Parallel()
			holdLoaded(t, "app.example.com {\n"+tc.directive+"\n"+anyProvider+"}\n}", tc.refused, tc.warned)
		})
	}
}
