package opconfig

import (
	"net/url"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Fixed parameters never replace those that the plugin sets, and what they demand is known
// when the configuration is loaded.
func FuzzCheckParameters(f *testing.F) {
	for _, query := range []string{
		"prompt=login", "state=x", "redirect_uri=x", "max_age=60&prompt=none", "max_age=0&prompt=consent+none", "max_age=%7Benv.A%7D", "claims=%7B%7D", "claims=%7Benv.A%7D", "claims=x", "resource=urn%3Aa&resource=https%3A%2F%2Fb",
		"resource=/a", "acr_values=a&acr_values=b", "x=", "%00=1", "max_age=-1",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		all, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if CheckTokenParameters(all) == nil {
			for name := range all {
				if op.ReservedAtTokenEndpoint(name) {
					t.Errorf("%q: expected an error about %s, seen none", query, name)
				}
			}
		}
		if CheckParameters(all) != nil {
			return
		}
		for name, values := range all {
			if op.Reserved(name) {
				t.Errorf("%q: expected an error about %s, seen none", query, name)
			}
			if len(values) != 1 && name != "resource" {
				t.Errorf("%q: expected one value of %s, seen %d", query, name, len(values))
			}
		}
		if _, err := demandsOf(all); err != nil {
			t.Errorf("%q: expected demands, seen %v", query, err)
		}
	})
}
