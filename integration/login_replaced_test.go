package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A new login ends the session whose cookie it overwrites, even if that session belongs to
// another instance with another provider or another store.
func TestANewLoginEndsTheSessionOfAnotherInstanceThatItReplaces(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, one, two string // lines of the session block of each instance
		replaced       bool
	}{
		{"both in cookies", "store cookie", "store cookie", true},
		{"both in memory", "store memory", "store memory", true},
		{"the first in memory", "store memory", "store cookie", true},
		{"the second in memory", "store cookie", "store memory", true},
		{"both in a storage", "store storage", "store storage", true},
		{"cookies of two names", "cookie first", "cookie second", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			one, two := newOP(t), newOP(t)
			one.Register(rpURL + "/@app/auth/one/code")
			two.Register(rpURL + "/@app/auth/two/code")
			site := `http://rp.test {
	handle /one/* {
		oidc_rp {
			provider one {
				` + options(one) + `
				end_session off
			}
			session {
				` + row.one + `
			}
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			provider two {
				` + options(two) + `
				end_session off
			}
			session {
				` + row.two + `
			}
		}
		reverse_proxy {upstream}
	}
}`
			r := newHarnessAt(t, storageDir(t), site)
			b := r.browser()
			status := func(path, cookies string) int {
				return r.rawGet(path, "Cookie: "+cookies).StatusCode
			}
			check(required{t}, b.open("/one/x"), "at the first instance").status(http.StatusOK)
			first := b.cookieHeader()
			if got := status("/one/x", first); got != http.StatusOK {
				t.Fatalf("the first session gets %d before it is replaced", got)
			}
			check(required{t}, b.open("/x"), "at the second instance").status(http.StatusOK)
			second := b.cookieHeader()
			equal(t, "the first session ended with the second sign-in", status("/one/x", first) != http.StatusOK, row.replaced)
			if got := status("/x", second); got != http.StatusOK {
				t.Errorf("the second session gets %d", got)
			}
			b.open("/Special:UserLogout")
			for path, cookies := range map[string]string{"/one/x": first, "/x": second} {
				if got := status(path, cookies); got != http.StatusUnauthorized {
					t.Errorf("after logout a copied cookie gets %d at %s", got, path)
				}
			}
		})
	}
}

// A logout that cannot be saved clears the cookies and reports logout_failed, whichever
// instance of the site has the session.
func TestALogoutWhoseSessionAnotherInstanceCannotReadFails(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"signed in at the first instance": false, "signed in at both instances": true} {
		records := recordsNamed(t.Name() + name)
		one, two := newOP(t), newOP(t)
		one.Register(rpURL + "/@app/auth/one/code")
		two.Register(rpURL + "/@app/auth/two/code")
		r := newHarnessAt(t, storageDir(t), `http://rp.test {
	handle /one/* {
		oidc_rp {
			provider one {
				`+options(one)+`
				end_session off
			}
			session {
				store test "`+t.Name()+name+`"
				cookie first
			}
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			provider two {
				`+options(two)+`
				end_session off
			}
			session {
				cookie second
			}
		}
		reverse_proxy {upstream}
	}
}`)
		b := r.browser()
		check(required{t}, b.open("/one/x")).status(http.StatusOK)
		if both {
			check(required{t}, b.open("/x")).status(http.StatusOK)
		}
		records.fail(calling, errTestDown)
		p := b.get("/Special:UserLogout")
		check(t, p, name).status(http.StatusSeeOther).leadsTo("/?auth_error=logout_failed")
		equal(t, name+": the cookies that are left", b.cookieHeader(), "")
	}
}

// One instance finds a session of another instance, whose provider is disabled. The logout
// ends it in its own store.
func TestALogoutEndsWhatAnotherInstanceKeepsElsewhere(t *testing.T) {
	t.Parallel()
	for _, stores := range [][2]string{{"memory", "cookie"}, {"cookie", "memory"}} {
		for _, swapped := range []bool{false, true} {
			first, second := newOP(t), newOP(t)
			first.Register(rpURL + "/@app/auth/one/code")
			second.Register(rpURL + "/@app/auth/two/code")
			storage := storageDir(t)
			site := func(disabled string) string {
				one := `
oidc_rp /a/* {
	provider one {
		` + options(first) + `
		end_session off
	}
	session {
		cookie one
		store ` + stores[0] + `
	}
}
`
				two := `
oidc_rp /b/* {
	provider two {
		` + options(second) + `
		end_session off
		` + disabled + `
	}
	session {
		cookie two
		store ` + stores[1] + `
	}
}
`
				if swapped {
					one, two = two, one
				}
				return `
http://rp.test {
	route {
		` + one + two + `
		reverse_proxy {upstream}
	}
}
`
			}
			b := newHarnessAt(t, storage, site("")).browser()
			check(required{t}, b.open("/b/page")).status(http.StatusOK)
			copied := b.cookieHeader()
			off := newHarnessAt(t, storage, site("disabled"))
			moveTo(b, off)
			check(t, b.open("/Special:UserLogout"), fmt.Sprintf("%v, swapped %v: the logout", stores, swapped)).status(http.StatusOK)
			if left := b.cookieHeader(); strings.Contains(left, "two=") {
				t.Errorf("%v, swapped %v: the browser still has %s", stores, swapped, left)
			}
			again := newHarnessAt(t, storage, site(""))
			check(t, again.rawGet("/b/page", "Cookie: "+copied), fmt.Sprintf("%v, swapped %v: a copied cookie", stores, swapped)).
				status(http.StatusUnauthorized)
		}
	}
}
