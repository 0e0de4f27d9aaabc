package address

import "testing"

func TestAddressesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		check func(string) error
		good  []string
		bad   []string
	}{
		{"path", CheckPath, []string{"/", "/a?b=c"}, []string{"", "a", "//a", "/{b}", "https://a.example/"}},
		{"plain path", CheckPlainPath, []string{"/a", "/a/b/"}, []string{"/", "/a?b", "/a%20b", "/a;b", "/a/../b", "/a//b"}},
		{"endpoint path", CheckEndpointPath, []string{"/@app/auth"}, []string{"/", "/a/", "/a#b"}},
		{"origin", CheckOrigin, []string{"https://a.example", "{env.ORIGIN}"}, []string{"", "a.example", "https://a.example/b"}},
		{"target", CheckTarget, []string{"/out", "https://a.example/out", "{env.OUT}"}, []string{"", "out", "javascript:alert(1)", "https://u:p@a.example/", "https://a.example/ b"}},
	} {
		for _, text := range tc.good {
			if err := tc.check(text); err != nil {
				t.Errorf("%s: %q made the error %v, expected none", tc.name, text, err)
			}
		}
		for _, text := range tc.bad {
			if tc.check(text) == nil {
				t.Errorf("%s: %q passes, expected an error", tc.name, text)
			}
		}
	}
}

func TestNamesOfDomains(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"example.com": true, "": false, "example.com:443": false, "a/b": false, "a?b": false, "a b": false} {
		if got := IsDomain(text); got != want {
			t.Errorf("%q is the name of a domain: %t, expected %t", text, got, want)
		}
	}
}
