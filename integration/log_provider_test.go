package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// holdWords checks that the last matching log line has the provider's own words.
func (r *harness) holdWords(of, words map[string]string) {
	r.t.Helper()
	lines := r.logLines(of)
	if len(lines) == 0 {
		r.t.Fatalf("no line has %v\n%s", of, r.logs())
	}
	for name, want := range words {
		got, _ := lines[len(lines)-1][name].(string)
		if want == "" {
			equal(r.t, name, got, "")
		}
		contains(r.t, name, got, want)
	}
	message, _ := lines[len(lines)-1]["msg"].(string)
	lacks(r.t, "the message", message, "AADSTS")
	lacks(r.t, "the message", message, "canary")
}

// The log shows how a token endpoint explains its failure.
func TestTheTokenEndpointsWordsAreInTheLog(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, label, body string
		status            int
		words             map[string]string
	}{
		{"flat", "application/json", `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1","error_uri":"https://login.example/error?code=7000215"}`, 401,
			map[string]string{"provider_error": "invalid_client", "provider_error_description": `AADSTS7000215: Invalid client secret provided.\u000d\u000aTrace ID: 1`,
				"provider_error_uri": "https://login.example/error?code=7000215", "error": "authenticated with client_secret_basic"}},
		{"in a 200", "application/json", `{"error":"invalid_grant","error_description":"AADSTS54005"}`, 200,
			map[string]string{"provider_error": "invalid_grant", "provider_error_description": "AADSTS54005", "error": "status 200, error \"invalid_grant\""}},
		{"nested", "application/json", `{"error":{"code":"400","message":"Redirect URI mismatch"}}`, 400, map[string]string{"provider_error": "400", "provider_message": "Redirect URI mismatch"}},
		{"a list", "application/json", `{"errors":[{"code":"E1","message":"one"},{"message":"two"}]}`, 400, map[string]string{"provider_error": "E1", "provider_message": "one; two"}},
		{"HTML", "text/html", `<html>
<title>WAF</title> Support ID 4711`, 403, map[string]string{"provider_error": "", "provider_message": "text/html: <html> <title>WAF</title> Support ID 4711"}},
		{"HTML in a 200", "text/html", "<html>maintenance", 200, map[string]string{"provider_message": "text/html: <html>maintenance"}},
		{"a message", "application/json", `{"message":"boom"}`, 500, map[string]string{"provider_message": "boom"}},
		{"text with an override", "text/plain", "a\u202eb\x00", 502, map[string]string{"provider_message": `text/plain: a\u202eb\u0000`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, protectedBy(op))
			op.Lie(func(l *oidctest.Faults) {
				l.At(oidctest.Token).Status = tc.status
				l.At(oidctest.Token).Replace(tc.label, tc.body)
			})
			check(t, r.browser().open("/page")).code(errorcode.TokenExchangeFailed)
			r.holdWords(map[string]string{"code": string(errorcode.TokenExchangeFailed)}, tc.words)
		})
	}
}

// The log shows the error parameters of an authorization response.
func TestTheAuthorizationEndpointsWordsAreInTheLog(t *testing.T) {
	t.Parallel()
	words := map[string]string{"provider_error": "invalid_scope", "provider_error_description": `AADSTS70011 \u202e <b>`, "provider_error_uri": "https://login.example/e"}
	query := "error=invalid_scope&error_description=" + escape("AADSTS70011 \u202e <b>") + "&error_uri=" + escape("https://login.example/e")
	for name, tc := range map[string]struct {
		code  errorcode.Code
		visit func(*browser, *oidctest.Provider)
	}{
		"as it should be": {errorcode.ProviderError, func(b *browser, op *oidctest.Provider) {
			op.Lie(func(l *oidctest.Faults) {
				l.Authorization.Error, l.Authorization.Description, l.Authorization.ErrorURI = "invalid_scope", "AADSTS70011 \u202e <b>", "https://login.example/e"
			})
			b.open("/page")
		}},
		"without state": {errorcode.BadRequest, func(b *browser, _ *oidctest.Provider) { b.get("/@app/auth/default/code?" + query) }},
		"with an unknown state": {errorcode.LoginExpired, func(b *browser, _ *oidctest.Provider) {
			b.get("/@app/auth/default/code?state=AAAAAAAAAAAAAAAAAAAAAA&" + query)
		}},
		"with a code beside it": {errorcode.BadRequest, func(b *browser, _ *oidctest.Provider) { b.get("/@app/auth/default/code?state=AAAA&code=x&" + query) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, protectedBy(op))
			tc.visit(r.browser(), op)
			r.holdWords(map[string]string{"code": string(tc.code)}, words)
		})
	}
	t.Run("by form_post", func(t *testing.T) {
		t.Parallel()
		op := newOP(t)
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	response_mode form_post
}
`)
		b := r.browser()
		state := must(url.Parse(b.get("/page").location())).Query().Get("state")
		p := b.post("/@app/auth/default/code", "state="+state+"&iss="+escape(op.Issuer())+"&"+query, map[string]string{"Sec-Fetch-Site": "cross-site"})
		b.get(p.location())
		r.holdWords(map[string]string{"code": string(errorcode.ProviderError)}, words)
	})
}

// The log shows how the other endpoints of the back channel explain a failure.
func TestTheWordsOfOtherEndpointsAreInTheLog(t *testing.T) {
	t.Parallel()
	const body = `{"error":"temporarily_unavailable","error_description":"AADSTS90033"}`
	words := map[string]string{"provider_error": "temporarily_unavailable", "provider_error_description": "AADSTS90033"}
	for _, tc := range []struct {
		endpoint oidctest.Endpoint
		code     errorcode.Code
		status   int
		options  []oidctest.Option
	}{
		{oidctest.Discovery, errorcode.ProviderUnavailable, 503, nil}, {oidctest.Discovery, errorcode.ProviderUnavailable, 404, nil}, {oidctest.Discovery, errorcode.ProviderUnavailable, 200, nil},
		{oidctest.JWKS, errorcode.ProviderUnavailable, 500, nil}, {oidctest.JWKS, errorcode.ProviderUnavailable, 200, nil},
		{oidctest.UserInfo, errorcode.UserinfoFailed, 403, nil}, {oidctest.UserInfo, errorcode.UserinfoFailed, 200, nil},
		{oidctest.PushedRequest, errorcode.ProviderUnavailable, 503, []oidctest.Option{oidctest.PushedRequests()}},
		{oidctest.PushedRequest, errorcode.ProviderError, 400, []oidctest.Option{oidctest.PushedRequests()}},
		{oidctest.PushedRequest, errorcode.ProviderError, 200, []oidctest.Option{oidctest.PushedRequests()}},
	} {
		t.Run(fmt.Sprintf("%s fails with %d", tc.endpoint, tc.status), func(t *testing.T) {
			t.Parallel()
			op := newOP(t, tc.options...)
			r := newHarness(t, protectedBy(op))
			op.Lie(func(l *oidctest.Faults) {
				l.At(tc.endpoint).Status = tc.status
				l.At(tc.endpoint).Replace("text/plain", body)
			})
			r.browser().open("/page")
			r.holdWords(map[string]string{"code": string(tc.code)}, words)
		})
	}
	t.Run("WWW-Authenticate of userinfo", func(t *testing.T) {
		t.Parallel()
		op := newOP(t)
		r := newHarness(t, protectedBy(op))
		op.Lie(func(l *oidctest.Faults) {
			l.At(oidctest.UserInfo).Status = 401
			l.At(oidctest.UserInfo).Replace("text/html", "<p>no")
			l.At(oidctest.UserInfo).Header = func(h http.Header) {
				h.Set("WWW-Authenticate", `Bearer realm="x", error="invalid_token", error_description="The audience is wrong"`)
			}
		})
		r.browser().open("/page")
		r.holdWords(map[string]string{"code": string(errorcode.UserinfoFailed)}, map[string]string{
			"provider_error": "invalid_token", "provider_error_description": "The audience is wrong", "provider_message": "text/html: <p>no",
		})
	})
}

// invalid_grant ends a session whatever its Content-Type and status are, and the log shows
// it.
func TestInvalidGrantEndsASessionUnderEveryLabel(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"text/plain; charset=utf-8", "text/html", "application/x-www-form-urlencoded", "application/json; charset=odd", "-"} {
		for _, status := range []int{200, 400, 401, 403} {
			t.Run(fmt.Sprintf("%s with status %d", label, status), func(t *testing.T) {
				t.Parallel()
				op := newRefreshOP(t)
				r := newRefreshRig(t, op)
				b := signedIn(t, r)
				op.at(due, r)
				op.Lie(func(l *oidctest.Faults) {
					l.At(oidctest.Token).Status = status
					l.At(oidctest.Token).Replace(label, "\ufeff"+`{"error":"invalid_grant","error_description":"The user was disabled"}`)
					if label == "-" {
						l.At(oidctest.Token).Header = func(h http.Header) { h["Content-Type"] = nil }
					}
				})
				check(t, b.send(http.MethodGet, "/x", program)).status(http.StatusUnauthorized)
				r.holdWords(map[string]string{"event": "signed_out", "via": "refresh"}, map[string]string{"provider_error": "invalid_grant", "provider_error_description": "The user was disabled"})
			})
		}
	}
}

func TestARefreshThatFailsTellsTheProvidersWords(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	op.at(due, r)
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Status = 500
		l.At(oidctest.Token).Replace("text/plain", `{"message":"the database is locked"}`)
	})
	check(t, b.send(http.MethodGet, "/x", program)).status(http.StatusOK)
	r.holdWords(map[string]string{"msg": "the provider issued no new tokens; the session continues for a while"}, map[string]string{"provider_message": "the database is locked"})
}

func TestARevocationThatFailsTellsTheProvidersWords(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusOK} {
		op, endpoint := newRefreshOP(t), newEcho(t)
		endpoint.answer = echoed(status, "unsupported_token_type", "no such kind")
		r := newHarnessAt(t, t.TempDir(), refreshSite(op, "revocation_endpoint "+endpoint.URL))
		signedIn(t, r).get("/Special:UserLogout")
		for end := time.Now().Add(patience); len(r.logLines(map[string]string{"msg": "a token could not be revoked"})) < 2 && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
		r.holdWords(map[string]string{"msg": "a token could not be revoked"}, map[string]string{"provider_error": "unsupported_token_type", "provider_error_description": "no such kind"})
		for _, canary := range op.Canaries() {
			if strings.Contains(r.logs(), canary) {
				t.Error("the log holds a secret")
			}
		}
	}
}

// echoed responds with an error that repeats everything in the request.
func echoed(status int, code, description string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		said := description + ": " + string(body) + " " + r.URL.RawQuery + " " + r.Header.Get("Authorization")
		for _, values := range form {
			said += " " + strings.Join(values, " ")
		}
		user, password, _ := r.BasicAuth()
		said += " " + user + " " + password
		w.Header().Set("WWW-Authenticate", "Bearer error_uri=\""+strings.ReplaceAll(said, `"`, `\"`)+"\"")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": said, "errors": []string{said}})
	}
}

// A provider that repeats what it receives brings no secret into the log.
func TestAProviderThatRepeatsEverythingTellsNoSecrets(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []oidctest.Endpoint{oidctest.Token, oidctest.UserInfo, oidctest.PushedRequest} {
		for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"} {
			t.Run(fmt.Sprintf("%s with %s", endpoint, method), func(t *testing.T) {
				t.Parallel()
				options := []oidctest.Option{oidctest.WithClient(oidctest.Client{ID: "rp", Secret: longSecret + "/+&", Auth: method})}
				if endpoint == oidctest.PushedRequest {
					options = append(options, oidctest.PushedRequests())
				}
				op := newOP(t, options...)
				r := provesAs(t, op, `
client_secret "`+longSecret+`/+&"
client_auth `+method)
				op.Lie(func(l *oidctest.Faults) {
					l.At(endpoint).Instead = http.HandlerFunc(echoed(http.StatusBadRequest, "invalid_request", "you sent"))
				})
				r.browser().open("/page")
				r.holdWords(map[string]string{"provider_error": "invalid_request"}, map[string]string{"provider_error_description": "you sent: "})
				logs := r.logs()
				for _, canary := range append(op.Canaries(), longSecret) {
					if strings.Contains(logs, canary) {
						t.Errorf("the log holds %q\n%s", canary, logs)
					}
				}
			})
		}
	}
}
