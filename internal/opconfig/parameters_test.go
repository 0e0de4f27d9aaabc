package opconfig

import (
	"net/url"
	"testing"
)

func TestParametersOfTokenRequestsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
		"client_id", "client_secret", "client_assertion", "client_assertion_type",
	} {
		want := "token_params: " + name + " is set by the request itself"
		if err := CheckTokenParameters(url.Values{name: {"a"}}); err == nil || err.Error() != want {
			t.Errorf("expected the error %q, seen %v", want, err)
		}
	}
	for name, tc := range map[string]struct {
		parameters url.Values
		want       string // the error
	}{
		"good ones":           {url.Values{"audience": {"a"}, "resource": {"https://a.example", "urn:b"}, "state": {"{env.A}"}, "max_age": {"1h"}}, ""},
		"an empty one":        {url.Values{"audience": {""}}, "token_params: audience is empty"},
		"several values":      {url.Values{"audience": {"a", "b"}}, "token_params: audience has several values, which only resource can have"},
		"a relative resource": {url.Values{"resource": {"/a"}}, "token_params: resource is not an absolute URI without fragment"},
	} {
		got := ""
		if err := CheckTokenParameters(tc.parameters); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: expected the error %q, seen %q", name, tc.want, got)
		}
	}
}
