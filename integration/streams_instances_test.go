package integration_test

import (
	"cmp"
	"net/http"
	"testing"
)

// Each instance that lets a stream pass judges it by the user that this instance has
// identified.
func TestStreamsOfTwoInstances(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	ci := newKey(t, "ci")
	file := newAccessKeyFile(t, ci)
	for mode, over := range map[string]string{"": "/two/logout", "public": "/one/logout"} {
		t.Run(cmp.Or(mode, "private"), func(t *testing.T) {
			t.Parallel()
			first.SignIn("alice")
			r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	route {
		oidc_rp {
			provider one {
				`+options(first)+`
				end_session off
			}
			require any_user
			deny user bob
			application {
				access_keys `+file.path+`
			}
			logout_path /one/logout
			session {
				cookie one
			}
		}
		oidc_rp `+mode+` {
			provider two {
				`+options(second)+`
				end_session off
			}
			deny user alice
			logout_path /two/logout
			session {
				cookie two
			}
		}
		reverse_proxy {upstream}
	}
}
`)
			serveStreams(r)
			b := r.browser()
			check(t, b.open("/page")).status(http.StatusOK)
			one := r.stream(t, streamKinds[2], b.cookieHeader())
			one.goesOn("signed in")
			check(t, b.get(over)).status(http.StatusSeeOther)
			one.ends("signed out at one of them")
			if mode == "public" {
				kind := streamKinds[2]
				kind.header += "\r\n" + ci.bearer()
				r.stream(t, kind, "").goesOn("a program that the inner one does not know")
			}
		})
	}
}
