package oidcrp

import (
	"testing"
)

// Fault C11: an instance with another cookie has sessions of its own.
func TestInstancesWithOtherCookiesAskForTheirOwn(t *testing.T) {
	t.Parallel()
	app := started(t, `
http://rp.test {
	handle /a* {
		oidc_rp {
			endpoints /a/auth
			session {
				cookie one
			}
		}
	}
	handle {
		oidc_rp {
			session {
				cookie two
			}
			upstream {
				access_token
			}
		}
	}
}
`, `
	oidc_rp {
		provider corp {
			issuer https://op.test
			client_id rp
		}
	}
`)
	one, two := app.handlers[0], app.handlers[1]
	if one.Endpoints != "/a/auth" {
		one, two = two, one
	}
	if one.instance.NeedsOf(one.instance.Default, "").AccessToken || !two.instance.NeedsOf(two.instance.Default, "").AccessToken {
		t.Error("the access token is kept in sessions of the instance that does not need it, expected only in the other's")
	}
}
