package op

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// These are all forms in which providers explain a failure.
func TestWhatAProviderSaysIsRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, label, body, challenge string
		status                       int
		want                         Refusal
	}{
		{name: "the standard's form", status: 401, label: "application/json",
			body: `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret.","error_uri":"https://login.example/error?code=7000215"}`,
			want: Refusal{Code: "invalid_client", Description: "AADSTS7000215: Invalid client secret.", URI: "https://login.example/error?code=7000215"}},
		{name: "in a success", status: 200, label: "application/json", body: `{"error":"invalid_grant","error_description":"spent"}`,
			want: Refusal{Code: "invalid_grant", Description: "spent"}},
		{name: "nested", status: 400, label: "application/json", body: `{"error":{"code":"400","message":"Redirect URI mismatch"}}`,
			want: Refusal{Code: "400", Message: "Redirect URI mismatch"}},
		{name: "nested, with a number", status: 400, body: `{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}`, want: Refusal{Code: "400", Message: "no"}},
		{name: "nested, with a type", status: 400, body: `{"error":{"type":"OAuthException","message":"no"}}`, want: Refusal{Code: "OAuthException", Message: "no"}},
		{name: "a list of objects", status: 400, body: `{"errors":[{"code":"E1","message":"first"},{"code":"E2","description":"x","message":"second"}]}`,
			want: Refusal{Code: "E1", Message: "first; second"}},
		{name: "a list of texts", status: 400, body: `{"errors":["first","second"]}`, want: Refusal{Message: "first; second"}},
		{name: "a bare list", status: 400, body: `[{"error":"invalid_request"}]`, want: Refusal{Code: "invalid_request"}},
		{name: "a message", status: 500, body: `{"message":"boom"}`, want: Refusal{Message: "boom"}},
		{name: "RFC 9457", status: 403, label: "application/problem+json", body: `{"type":"about:blank","title":"Forbidden","detail":"Blocked by policy 7","status":403}`,
			want: Refusal{Message: "Blocked by policy 7"}},
		{name: "Okta's", status: 401, body: `{"errorCode":"E0000011","errorSummary":"Invalid token provided","errorLink":"E0000011"}`,
			want: Refusal{Code: "E0000011", URI: "E0000011", Message: "Invalid token provided"}},
		{name: "a text in JSON", status: 400, body: `"no such client"`, want: Refusal{Message: "no such client"}},
		{name: "HTML", status: 403, label: "text/html; charset=utf-8", body: "<html>\n\t<title>WAF</title>\r\n", want: Refusal{Message: "text/html; charset=utf-8: <html> <title>WAF</title>"}},
		{name: "plain text without a label", status: 502, body: "upstream connect error", want: Refusal{Message: "no content type: upstream connect error"}},
		{name: "nothing", status: 500, label: "text/plain"},
		{name: "JSON that says nothing", status: 400, label: "application/json", body: `{"a":1}`, want: Refusal{Message: `application/json: {"a":1}`}},
		{name: "damaged JSON", status: 400, label: "application/json", body: `{"error":"inv`, want: Refusal{Message: `application/json: {"error":"inv`}},
		{name: "a form", status: 400, label: "application/x-www-form-urlencoded", body: "error=bad_verification_code&error_description=The+code+is+wrong",
			want: Refusal{Code: "bad_verification_code", Description: "The code is wrong"}},
		{name: "a byte order mark", status: 400, label: "application/json", body: "\ufeff" + `{"error":"invalid_grant"}`, want: Refusal{Code: "invalid_grant"}},
		{name: "a challenge", status: 401, label: "text/html", challenge: `Bearer realm="x", error="invalid_token", error_description="It \"expired\", yes", error_uri=https://e.example`,
			want: Refusal{Code: "invalid_token", Description: `It "expired", yes`, URI: "https://e.example"}},
		{name: "a challenge and a body", status: 401, label: "application/json", body: `{"error":"insufficient_scope"}`, challenge: `DPoP algs="ES256", Bearer error="invalid_token",error_description=why`,
			want: Refusal{Code: "insufficient_scope", Description: "why"}},
		{name: "a description that is a list", status: 400, body: `{"error":"invalid_grant","error_description":["spent","too old"]}`,
			want: Refusal{Code: "invalid_grant", Description: "spent; too old"}},
		{name: "a detail that is a list of objects", status: 422, body: `{"code":"E7","detail":[{"loc":["body","code"],"msg":"field required"}]}`,
			want: Refusal{Code: "E7", Message: `[{"loc":["body","code"],"msg":"field required"}]`}},
		{name: "a description that is an object", status: 400, body: `{"error":"server_error","error_description":{"en":"down <now>"}}`,
			want: Refusal{Code: "server_error", Description: `{"en":"down <now>"}`}},
		{name: "null and empty members", status: 400, body: `{"error":null,"errors":[],"error_description":"","message":"m"}`, want: Refusal{Message: "m"}},
		{name: "invisible characters", status: 400, body: `{"error":"invalid_grant","error_description":"a\u202eb\u0000\nc"}`,
			want: Refusal{Code: "invalid_grant", Description: `a\u202eb\u0000\u000ac`}},
	} {
		a := &httpResponse{status: tc.status, header: http.Header{}, body: []byte(tc.body)}
		if tc.label != "" {
			a.header.Set("Content-Type", tc.label)
		}
		if tc.challenge != "" {
			a.header.Set("WWW-Authenticate", tc.challenge)
		}
		tc.want.Status = tc.status
		if got := a.refusal(); *got != tc.want {
			t.Errorf("%s:\nread %+v\nwant %+v", tc.name, *got, tc.want)
		}
	}
}

func TestWhatAProviderSaysIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 100_000)
	body, err := json.Marshal(map[string]string{"error": long, "error_description": long, "error_uri": long, "message": long})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range [][]byte{body, []byte("<p>" + long)} {
		got := (&httpResponse{status: 400, header: http.Header{"Content-Type": {long}, "Www-Authenticate": {`Bearer error="` + long + `"`}}, body: body}).refusal()
		for _, word := range []string{got.Code, got.Description, got.URI, got.Message} {
			if len(word) > maxDescription {
				t.Errorf("expected %d bytes at most, seen %d: %.40q", maxDescription, len(word), word)
			}
			if !utf8.ValidString(word) {
				t.Errorf("expected UTF-8, seen %.40q", word)
			}
		}
	}
}

// Secrets from the request, and tokens in the response, do not appear in refusals.
func TestSecretsDoNotComeBack(t *testing.T) {
	t.Parallel()
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
	form := url.Values{}
	for _, name := range secretParameters {
		form.Set(name, "canary-of/"+name+"+0123456789==")
	}
	header := http.Header{}
	(&http.Request{Header: header}).SetBasicAuth("rp", url.QueryEscape("canary-of/the+secret"))
	secrets := append(secretsOf(header, form), "canary-of/the+secret")
	var echo strings.Builder
	for _, name := range append([]string{"x"}, secretParameters...) {
		echo.WriteString(" " + form.Get(name) + " " + url.QueryEscape(form.Get(name)))
	}
	echo.WriteString(" canary-of/the+secret canary-of%2Fthe%2Bsecret " + header.Get("Authorization") + " " + jwt)
	quoted, err := json.Marshal(echo.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"error":` + string(quoted) + `}`, `{"error":"x","error_description":` + string(quoted) + `}`, `{"error":{"message":` + string(quoted) + `}}`,
		`{"error":"x","error_description":[` + string(quoted) + `]}`, `{"error":"x","message":{"a":` + string(quoted) + `}}`,
		`{"errors":[` + string(quoted) + `]}`, "<p>" + echo.String(), echo.String(), "error=" + url.QueryEscape(echo.String()), `{"a":` + string(quoted) + `}`,
		`{"message":"x","error_uri":` + string(quoted) + `}`,
	} {
		for _, status := range []int{200, 400} {
			a := &httpResponse{status, http.Header{"Www-Authenticate": {`Bearer error_description=` + string(quoted)}}, []byte(body), secrets}
			got := a.refusal()
			text := got.Code + got.Description + got.URI + got.Message + got.Error()
			for _, secret := range []string{"canary", "0123456789", "eyJ"} {
				if strings.Contains(text, secret) {
					t.Errorf("status %d, %.60q: expected nothing of the secret %q, seen %+v", status, body, secret, got)
				}
			}
		}
	}
}

// Nothing that could be a token is quoted from a response that claims success.
func TestTokensAreNotQuoted(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"access_token":"canary","token_type":"Bearer"`, `{"access_token":"canary"}{}`, `["canary"]`, `"canary`,
		"access_token=canary&token_type=bearer", `<p>{"access_token": "canary"}`, `access_token: canary`, `<input name=id_token value=x> refresh_token='canary'`,
		`{"foo":"canary"}`,
	} {
		for _, label := range []string{"application/json", "text/html", ""} {
			_, err := readTokens(&httpResponse{200, http.Header{"Content-Type": {label}}, []byte(body), nil})
			refused := refusalOf(err)
			if refused == nil {
				t.Fatalf("%q is taken", body)
			}
			if strings.Contains(refused.Code+refused.Description+refused.URI+refused.Message+err.Error(), "canary") {
				t.Errorf("%q labelled %q: %+v, %v", body, label, refused, err)
			}
		}
	}
}

func FuzzReadWords(f *testing.F) {
	for _, body := range []string{
		`{"error":"invalid_grant","error_description":"x"}`, `{"error":{"code":400,"message":"x"}}`, `{"errors":["a",{"code":"b"}]}`, `{"message":"boom"}`,
		"<html>WAF</html>", "error=x&error_description=y", "\ufeff{}", `{"error_description":"\u202e\ud800"}`, `[[[[]]]]`, "\xff\xfe{", `{"error":"supersecret-supersecret"}`,
	} {
		f.Add(400, "application/json", body, `Bearer error="x", error_description="a\"b"`, "supersecret-supersecret")
		f.Add(200, "text/html; charset=x", body, "", "x")
	}
	f.Fuzz(func(t *testing.T, status int, label, body, challenge, secret string) {
		a := &httpResponse{status, http.Header{"Content-Type": {label}, "Www-Authenticate": {challenge}}, []byte(body), []string{secret}}
		got := a.refusal()
		for _, word := range []struct {
			text string
			max  int
		}{{got.Code, logtext.MaxName}, {got.Description, maxDescription}, {got.URI, logtext.MaxName}, {got.Message, maxDescription}} {
			if len(word.text) > word.max {
				t.Errorf("expected %d bytes at most, seen %d: %q", word.max, len(word.text), word.text)
			}
			if !utf8.ValidString(word.text) {
				t.Errorf("expected UTF-8, seen %q", word.text)
			}
			if strings.ContainsFunc(word.text, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }) {
				t.Errorf("expected printable characters only, seen %q", word.text)
			}
			if len(secret) >= 16 && strings.Contains(word.text, secret) && word.text != got.Code {
				t.Errorf("%q holds %q", word.text, secret)
			}
		}
	})
}
