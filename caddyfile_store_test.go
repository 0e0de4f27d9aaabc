package oidcrp

import (
	"strings"
	"testing"
)

// A store of ours that is not linked is no typing error: the message says how
// to get it.
func TestWhatIsSaidOfAStoreThatIsNotThere(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"redis":   "build it with another --with github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis",
		"shoebox": "there is no module oidc_rp.session_stores.shoebox in this Caddy",
	} {
		if got := unknownStore(kind); !strings.Contains(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
