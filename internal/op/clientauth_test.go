package op

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
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
			if err := basic(&proof{clientID: tc.id, secret: tc.secret}, header, form); err != nil {
				t.Fatal(err)
			}
			encoded, _ := strings.CutPrefix(header.Get("Authorization"), "Basic ")
			got, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || string(got) != tc.want {
				t.Fatalf("%q, %v; want %q", got, err, tc.want)
			}
			id, secret, _ := strings.Cut(string(got), ":")
			id, idErr := url.QueryUnescape(id)
			secret, secretErr := url.QueryUnescape(secret)
			if idErr != nil {
				t.Errorf("client id: %v", idErr)
			}
			if id != tc.id {
				t.Errorf("client id: expected a provider to read %q, seen %q", tc.id, id)
			}
			if secretErr != nil {
				t.Errorf("secret: %v", secretErr)
			}
			if secret != tc.secret {
				t.Errorf("secret: expected a provider to read %q, seen %q", tc.secret, secret)
			}
		})
	}
}

func TestOneMethodAtATime(t *testing.T) {
	t.Parallel()
	keys, err := ParseClientKeys(pemOf(t, newKey(t, "P-256")))
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]struct{ header, id, secret, assertion bool }{
		"client_secret_basic": {header: true},
		"client_secret_post":  {id: true, secret: true},
		"client_secret_jwt":   {id: true, assertion: true},
		"private_key_jwt":     {id: true, assertion: true},
		"tls_client_auth":     {id: true},
		AssertionFile:         {id: true, assertion: true},
		"none":                {id: true},
	} {
		header, form := http.Header{}, url.Values{"code": {"c"}, "code_verifier": {"v"}}
		p := &proof{clientID: "client", secret: strings.Repeat("secret", 6), key: keys[0], audience: "https://op.test", now: time.Now,
			platform: func() (string, error) { return platformToken(`{"aud":["https://op.test"],"exp":9000000000}`), nil },
			endpoint: &url.URL{Scheme: "https", Host: "op.test"}, tokens: true}
		if err := clientAuths[method].prove(p, header, form); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		for _, part := range []struct {
			name      string
			has, want bool
		}{
			{"Authorization header", header.Get("Authorization") != "", want.header},
			{"client_id", form.Has("client_id"), want.id},
			{"client_secret", form.Has("client_secret"), want.secret},
			{"client_assertion", form.Has("client_assertion"), want.assertion},
			{"client_assertion_type", form.Has("client_assertion_type"), want.assertion},
		} {
			if part.has != part.want {
				t.Errorf("%s, %s: expected %t, seen %t", method, part.name, part.want, part.has)
			}
		}
		if got := form.Get("code"); got != "c" {
			t.Errorf("%s: expected the code to stay c, seen %q", method, got)
		}
		if got := form.Get("code_verifier"); got != "v" {
			t.Errorf("%s: expected the verifier to stay v, seen %q", method, got)
		}
		if len(header) > 1 {
			t.Errorf("%s: expected one header at most, seen %v", method, header)
		}
	}
	if got := AuthMethods(); !slices.Equal(got, []string{"assertion_file", "client_secret_basic", "client_secret_jwt", "client_secret_post", "none", "private_key_jwt", "tls_client_auth"}) {
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
		{"an assertion alone", "", true, []string{"private_key_jwt", "client_secret_jwt"}, "client_secret_jwt"},
		{"an assertion is the last choice", "", true, []string{"client_secret_jwt", post}, post},
		{"a key is configured", "private_key_jwt", false, []string{basic}, "private_key_jwt"},
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

func TestWhatMethodsNeed(t *testing.T) {
	t.Parallel()
	type answer struct {
		needs       Need
		asserts, ok bool
	}
	for name, want := range map[string]answer{
		"client_secret_basic": {NeedsSecret, false, true}, "client_secret_post": {NeedsSecret, false, true}, "none": {NeedsNothing, false, true},
		"assertion_file": {NeedsFile, true, true}, "client_secret_jwt": {NeedsSecret, true, true}, "private_key_jwt": {NeedsKey, true, true}, "tls_client_auth": {NeedsCertificate, false, true},
		"private_key": {}, "": {},
	} {
		if needs, asserts, ok := AuthMethod(name); (answer{needs, asserts, ok}) != want {
			t.Errorf("%q: needs %v, asserts %v, known %v", name, needs, asserts, ok)
		}
	}
}
