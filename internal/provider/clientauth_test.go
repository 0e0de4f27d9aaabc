package provider

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestClientSecretBasicEncodesItsParts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, id, secret, want string }{
		{"plain", "client", "secret", "client:secret"},
		{"a colon", "a:b", "c:d", "a%3Ab:c%3Ad"},
		{"a percent sign", "a%", "%41", "a%25:%2541"},
		{"a plus sign", "a+b", "+", "a%2Bb:%2B"},
		{"a space", "a b", " ", "a+b:+"},
		{"what is not ASCII", "é", "密", "%C3%A9:%E5%AF%86"},
		{"base64", "client", "a/b==", "client:a%2Fb%3D%3D"},
		{"a line end", "client", "x\r\nX: y", "client:x%0D%0AX%3A+y"},
		{"a URL as id", "https://app.example/", "s", "https%3A%2F%2Fapp.example%2F:s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			header, form := http.Header{}, url.Values{"client_id": {tc.id}, "code": {"c"}}
			basic(header, form, tc.id, tc.secret)
			encoded, _ := strings.CutPrefix(header.Get("Authorization"), "Basic ")
			got, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || string(got) != tc.want {
				t.Fatalf("%q, %v; want %q", got, err, tc.want)
			}
			id, secret, _ := strings.Cut(string(got), ":")
			id, idErr := url.QueryUnescape(id)
			secret, secretErr := url.QueryUnescape(secret)
			if idErr != nil || secretErr != nil || id != tc.id || secret != tc.secret {
				t.Errorf("a provider reads %q and %q", id, secret)
			}
		})
	}
}

func TestOneMethodAtATime(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]struct{ header, id, secret bool }{
		"client_secret_basic": {true, false, false},
		"client_secret_post":  {false, true, true},
		"none":                {false, true, false},
	} {
		header, form := http.Header{}, url.Values{"client_id": {"client"}, "code": {"c"}, "code_verifier": {"v"}}
		clientAuths[method].prove(header, form, "client", "secret")
		if (header.Get("Authorization") != "") != want.header || form.Has("client_id") != want.id || form.Has("client_secret") != want.secret {
			t.Errorf("%s: header %v, form %v", method, header, form)
		}
		if form.Get("code") != "c" || form.Get("code_verifier") != "v" || len(header) > 1 {
			t.Errorf("%s changed the rest: %v, %v", method, header, form)
		}
	}
	if got := AuthMethods(); !slices.Equal(got, []string{"client_secret_basic", "client_secret_post", "none"}) {
		t.Errorf("methods %q, of which this test knows less", got)
	}
}

func TestChoosingAMethod(t *testing.T) {
	t.Parallel()
	const basic, post, none = "client_secret_basic", "client_secret_post", "none"
	for _, tc := range []struct {
		name       string
		configured string
		hasSecret  bool
		offered    []string
		want       string
	}{
		{"nothing is listed", "", true, nil, basic},
		{"an empty list", "", true, []string{}, basic},
		{"both are offered", "", true, []string{post, basic}, basic},
		{"post alone", "", true, []string{"private_key_jwt", post}, post},
		{"none that is known", "", true, []string{"private_key_jwt", "tls_client_auth"}, ""},
		{"none alone, with a secret", "", true, []string{none}, ""},
		{"no secret", "", false, []string{basic, post}, none},
		{"no secret, and none offered", "", false, []string{none}, none},
		{"the configured one, whatever is offered", post, true, []string{basic}, post},
		{"the configured none, with a secret", none, true, nil, none},
		{"another case", "", true, []string{"CLIENT_SECRET_BASIC"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := chooseAuth(tc.configured, tc.hasSecret, tc.offered)
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestMethodsThatNeedTheSecret(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]bool{
		"client_secret_basic": {true, true}, "client_secret_post": {true, true}, "none": {false, true}, "private_key": {false, false}, "": {false, false},
	} {
		if needs, ok := AuthMethodNeedsSecret(name); needs != want[0] || ok != want[1] {
			t.Errorf("%q: needs %v, known %v", name, needs, ok)
		}
	}
}
