package integration_test

import (
	"strings"
	"testing"
)

func TestSitesThatDoNotFitAreWarnedOf(t *testing.T) {
	t.Parallel()
	const others, missing = "the site of the identity provider has other handlers", "no site with the handler oidc_idp has the host of the issuer"
	for _, row := range []struct {
		name, site string // replaces the provider's site
		want       []string
	}{
		{"alone", "http://{host} {\n\toidc_idp\n}", nil},
		{"with headers and an access log", "http://{host} {\n\tlog\n\tencode\n\theader X-A b\n\toidc_idp\n}", nil},
		{"with another port for another site", "http://{host} {\n\toidc_idp\n}\nhttp://other.test {\n\trespond ok\n}", nil},
		{"before another handler", "http://{host} {\n\toidc_idp\n\trespond ok\n}", []string{others}},
		{"after a file server for a path", "http://{host} {\n\thandle /files/* {\n\t\tfile_server\n\t}\n\thandle {\n\t\toidc_idp\n\t}\n}", []string{others}},
		{"at another host", "http://another.test {\n\toidc_idp\n}", []string{missing}},
		{"at no site", "http://another.test {\n\trespond ok\n}", []string{missing}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newSite(t, folderOf(t), row.site)
			for _, warning := range []string{others, missing} {
				wanted := false
				for _, w := range row.want {
					wanted = wanted || w == warning
				}
				if seen := strings.Contains(h.logs(), warning); seen != wanted {
					t.Errorf("expected the warning %q: %v, seen %v", warning, wanted, seen)
				}
			}
		})
	}
}
