package op

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// platformToken returns a JWT as a platform writes it.
func platformToken(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
}

func TestWhatAPlatformsAssertionMustSay(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, tc := range []struct{ name, audience, token, want string }{
		{"a projected token of Kubernetes", "", platformToken(`{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:web:caddy","aud":["https://op.test"],"exp":1800003600}`), ""},
		{"a JWT-SVID", "", platformToken(`{"sub":"spiffe://example.org/caddy","aud":"https://op.test","exp":1800000300}`), ""},
		{"the audience that is configured", "api://exchange", platformToken(`{"aud":["a","api://exchange"],"exp":1800000300}`), ""},
		{"a cluster's audience that is configured", "https://kubernetes.default.svc", platformToken(`{"aud":["https://kubernetes.default.svc"],"exp":1800000300}`), ""},
		{"another than is configured", "api://exchange", platformToken(`{"aud":["a"],"exp":1800000300}`), "another audience"},
		{"a cluster's beside the configured one", "api://exchange", platformToken(`{"aud":["api://exchange","https://kubernetes.default.svc"],"exp":1800000300}`), "API server"},
		{"the default token", "", platformToken(`{"aud":["https://kubernetes.default.svc.cluster.local"],"exp":1800000300}`), "API server"},
		{"the default token of k3s", "", platformToken(`{"aud":["k3s","https://kubernetes.default.svc.cluster.local"],"exp":1800000300}`), "API server"},
		{"a cluster's by its service", "", platformToken(`{"aud":"kubernetes.default.svc","exp":1800000300}`), "API server"},
		{"a cluster's in capitals", "", platformToken(`{"aud":"HTTPS://Kubernetes.Default.SVC","exp":1800000300}`), "API server"},
		{"a cluster's with spaces", "", platformToken(`{"aud":" https://kubernetes","exp":1800000300}`), "API server"},
		{"no audience", "", platformToken(`{"exp":1800000300}`), "without an audience"},
		{"an empty list of audiences", "", platformToken(`{"aud":[],"exp":1800000300}`), "without an audience"},
		{"an audience that is a number", "", platformToken(`{"aud":[1],"exp":1800000300}`), "without an audience"},
		{"expired now", "", platformToken(`{"aud":"a","exp":1800000000}`), "has expired"},
		{"no expiry", "", platformToken(`{"aud":"a"}`), "never expires"},
		{"an expiry that is a text", "", platformToken(`{"aud":"a","exp":"1800000300"}`), "never expires"},
		{"two expiries", "", platformToken(`{"aud":"a","exp":1,"exp":1800000300}`), "signed JWT"},
		{"claims that are no object", "", platformToken(`[]`), "signed JWT"},
		{"no signature", "", strings.TrimSuffix(platformToken(`{"aud":"a","exp":1800000300}`), "c2lnbmF0dXJl"), "signed JWT"},
		{"an opaque token", "", "hvs.CAESI", "signed JWT"},
		{"two lines", "", platformToken(`{"aud":"a","exp":1800000300}`) + "\n" + platformToken(`{}`), "signed JWT"},
		{"nothing", "", "", "signed JWT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			endpoint, form := &url.URL{Scheme: "https", Host: "op.test"}, url.Values{}
			p := &proof{clientID: "rp", audience: tc.audience, now: func() time.Time { return now }, tokens: true, endpoint: endpoint,
				platform: func() (string, error) { return tc.token, nil }}
			err := assertionFile(p, http.Header{}, form)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if (err == nil) != (tc.want == "") || !strings.Contains(text, tc.want) {
				t.Errorf("expected an error with %q, seen %q", tc.want, text)
			}
			if sent := form.Get("client_assertion") == tc.token && tc.token != ""; sent != (tc.want == "") {
				t.Errorf("expected the assertion to be sent: %v, seen %v", tc.want == "", sent)
			}
			if payload := strings.Split(tc.token+"..", ".")[1]; payload != "" && strings.Contains(text, payload) {
				t.Errorf("expected an error without the token, seen %q", text)
			}
		})
	}
}

func TestWhereAPlatformsAssertionIsSent(t *testing.T) {
	t.Parallel()
	token := platformToken(`{"aud":"a","exp":1800000300}`)
	for _, tc := range []struct {
		address      string
		tokens, want bool
	}{
		{"https://op.test/token", true, true},
		{"https://op.test/par", false, false},
		{"http://127.0.0.1:8080/token", true, true},
		{"http://[::1]/token", true, true},
		{"http://localhost/token", true, true},
		{"http://op.test/token", true, false},
		{"http://10.0.0.1/token", true, false},
		{"http://localhost.op.test/token", true, false},
		{"http://127.0.0.1@op.test/token", true, false},
	} {
		endpoint, err := url.Parse(tc.address)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{}
		p := &proof{clientID: "rp", now: func() time.Time { return time.Unix(1_800_000_000, 0) }, tokens: tc.tokens, endpoint: endpoint,
			platform: func() (string, error) { return token, nil }}
		err = assertionFile(p, http.Header{}, form)
		if got := err == nil && form.Get("client_assertion") == token; got != tc.want {
			t.Errorf("%s: expected it to be sent: %v, seen %v (%v)", tc.address, tc.want, got, err)
		}
	}
	p := &proof{tokens: true, endpoint: &url.URL{Scheme: "https"}, platform: func() (string, error) { return "", errors.New("is a directory") }}
	if err := assertionFile(p, nil, url.Values{}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("expected the error of the file, seen %v", err)
	}
}
