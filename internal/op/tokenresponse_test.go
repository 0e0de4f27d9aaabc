package op

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func tokenAnswerOf(status int, label, body string) *httpResponse {
	a := &httpResponse{status: status, header: http.Header{}, body: []byte(body)}
	if label != "" {
		a.header.Set("Content-Type", label)
	}
	return a
}

// Values of unexpected types in optional members count as absent.
func TestExpiresInOfAnyForm(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		written string
		want    time.Duration
		odd     bool
	}{
		{"3599", 3599 * time.Second, false}, {"3599.5", 3599 * time.Second, false}, {"3599.999", 3599 * time.Second, false}, {`"3599"`, 3599 * time.Second, false},
		{`"3599.0"`, 3599 * time.Second, false}, {`" 3599 "`, 3599 * time.Second, false}, {"3.6e3", time.Hour, false}, {`"3.6e3"`, time.Hour, false},
		{"null", 0, false}, {"1e20", maxTokenLife, false}, {"1e400", maxTokenLife, false}, {`"99999999999999999999"`, maxTokenLife, false},
		{"0", 0, true}, {"0.5", 0, true}, {"-1", 0, true}, {"-1e400", 0, true}, {`"-5"`, 0, true}, {`""`, 0, true}, {`"never"`, 0, true}, {`"NaN"`, 0, true},
		{`"Inf"`, 0, true}, {`"0x10"`, 0, true}, {`"1_000"`, 0, true}, {`"3600s"`, 0, true}, {"[]", 0, true}, {"[3600]", 0, true}, {"{}", 0, true}, {"true", 0, true},
	} {
		got, err := readTokens(tokenAnswerOf(200, "application/json", `{"access_token":"a","token_type":"bearer","id_token":"i","expires_in":`+tc.written+`}`))
		if err != nil {
			t.Fatalf("%s: %v", tc.written, err)
		}
		if got.expiresIn != tc.want {
			t.Errorf("%s: expected %v, seen %v", tc.written, tc.want, got.expiresIn)
		}
		if odd := len(got.odd) == 1; odd != tc.odd {
			t.Errorf("%s: expected odd %t, seen %q", tc.written, tc.odd, got.odd)
		}
	}
}

// Optional members of any type do not make a response invalid.
func TestAdvisoryMembersOfAnyFormFailNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"scope", "expires_in", "refresh_expires_in", "session_state", "not-before-policy", "refresh_token", "token_type", "ext_expires_in", "issued_token_type"} {
		for _, value := range []string{`null`, `""`, `"x"`, `1`, `1.5`, `-1`, `1e400`, `true`, `[]`, `["x"]`, `{}`, `{"a":[1]}`} {
			got, err := readTokens(tokenAnswerOf(200, "application/json", `{"access_token":"a","id_token":"i","`+name+`":`+value+`}`))
			if err != nil {
				t.Fatalf("%s %s: %v", name, value, err)
			}
			if got.accessToken != "a" {
				t.Errorf("%s %s: expected the access token a, seen %q", name, value, got.accessToken)
			}
			if got.idToken != "i" {
				t.Errorf("%s %s: expected the ID token i, seen %q", name, value, got.idToken)
			}
		}
	}
}

// If a provider omits the scope, it granted what was requested. If the scope has an
// unexpected type, what it granted is unknown.
func TestTheGrantedScope(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		written, scope string
		said           bool
	}{
		{`"x":1`, "", false}, {`"scope":null`, "", false}, {`"scope":"openid read"`, "openid read", true}, {`"scope":["openid","read"]`, "openid read", true},
		{`"scope":""`, "", true}, {`"scope":[]`, "", true}, {`"scope":5`, "", true}, {`"scope":{"openid":true}`, "", true}, {`"scope":["openid",5]`, "", true},
	} {
		got, err := readTokens(tokenAnswerOf(200, "application/json", `{"access_token":"a","id_token":"i",`+tc.written+`}`))
		if err != nil {
			t.Fatalf("%s: %v", tc.written, err)
		}
		if got.scope != tc.scope {
			t.Errorf("%s: expected the scope %q, seen %q", tc.written, tc.scope, got.scope)
		}
		if got.scopeSaid != tc.said {
			t.Errorf("%s: expected that the scope is said: %v, seen %v", tc.written, tc.said, got.scopeSaid)
		}
	}
}

func TestOtherTokenTypesAreNoticed(t *testing.T) {
	t.Parallel()
	for written, good := range map[string]bool{`"Bearer"`: true, `"bEARER"`: true, `"mac"`: false, `""`: false, "null": false, "1": false, `["Bearer"]`: false, `"N_A"`: false} {
		got, err := readTokens(tokenAnswerOf(200, "", `{"access_token":"a","id_token":"i","token_type":`+written+`}`))
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if (got.notBearer == nil) != good {
			t.Errorf("%s: expected a Bearer token %t, seen %v", written, good, got.notBearer)
		}
	}
}

// A token response is parsed by its content, regardless of the Content-Type.
func TestTheLabelOfATokenAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	for _, label := range []string{
		"", "application/json", "application/json; charset=utf-8", "text/plain", "text/plain; charset=utf-8", "text/html", "application/x-www-form-urlencoded",
		"application/json; charset=windows-1252", "text/plain; charset=", "nonsense", ";;;", "application/octet-stream",
	} {
		for _, mark := range []string{"", "\ufeff"} {
			if got, err := readTokens(readAnswer(t, 200, label, mark+`{"access_token":"a","token_type":"Bearer","id_token":"i"}`)); err != nil || got.idToken != "i" {
				t.Errorf("%q: %+v, %v", label, got, err)
			}
			for _, status := range []int{200, 400, 401, 403} {
				_, err := readTokens(readAnswer(t, status, label, mark+`{"error":"invalid_grant","error_description":"gone"}`))
				refused := refusalOf(err)
				if refused == nil {
					t.Errorf("%q with %d: expected a refusal, seen %v", label, status, err)
					continue
				}
				if refused.Code != "invalid_grant" {
					t.Errorf("%q with %d: expected invalid_grant, seen %q", label, status, refused.Code)
				}
				if refused.Description != "gone" {
					t.Errorf("%q with %d: expected the description gone, seen %q", label, status, refused.Description)
				}
				if refused.Status != status {
					t.Errorf("%q with %d: seen the status %d", label, status, refused.Status)
				}
				var failed *RefreshError
				if !errors.As(refreshError(err, "none", ""), &failed) {
					t.Fatalf("%q with %d: expected an error of a refresh, seen %v", label, status, err)
				}
				if !failed.Over {
					t.Errorf("%q with %d: expected the refresh to be over, seen %+v", label, status, failed)
				}
			}
		}
	}
	var failed *RefreshError
	_, err := readTokens(tokenAnswerOf(503, "application/json", `{"error":"invalid_grant"}`))
	if !errors.As(refreshError(err, "none", ""), &failed) {
		t.Fatalf("a server in trouble: expected an error of a refresh, seen %v", err)
	}
	if failed.Over {
		t.Errorf("a server in trouble: expected the refresh not to be over, seen %+v", failed)
	}
	if !failed.Down {
		t.Errorf("a server in trouble: expected the provider to be down, seen %+v", failed)
	}
}

func readAnswer(t *testing.T, status int, label, body string) *httpResponse {
	t.Helper()
	response := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
	if label != "" {
		response.Header.Set("Content-Type", label)
	}
	response.Body = struct {
		*strings.Reader
		nothing
	}{strings.NewReader(body), nothing{}}
	a, err := read(response, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

type nothing struct{}

func (nothing) Close() error { return nil }

func FuzzReadTokens(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"a","token_type":"Bearer","id_token":"i","expires_in":3600,"refresh_token":"r"}`, `{"error":"invalid_grant"}`, `{"error":{},"access_token":"a"}`,
		`{"access_token":"a","expires_in":"1e20","token_type":["Bearer"]}`, `{"access_token":1}`, "", "[]", "null", "access_token=a", `{"access_token":"a","access_token":"b"}`,
	} {
		f.Add(200, "application/json", body)
		f.Add(400, "text/plain", body)
	}
	f.Fuzz(func(t *testing.T, status int, label, body string) {
		a := tokenAnswerOf(status, label, body)
		got, err := readTokens(a)
		if err != nil {
			if refusalOf(err) == nil {
				t.Errorf("%v is no refusal", err)
			}
			return
		}
		if status != 200 {
			t.Errorf("%q with %d: expected an error, seen none", body, status)
		}
		if got.accessToken == "" {
			t.Errorf("%q: expected an access token, seen none", body)
		}
		if got.expiresIn < 0 {
			t.Errorf("%q: expected no negative lifetime, seen %v", body, got.expiresIn)
		}
		if got.expiresIn > maxTokenLife {
			t.Errorf("%q: expected a lifetime of %v at most, seen %v", body, maxTokenLife, got.expiresIn)
		}
		if !json.Valid(got.standard()) {
			t.Errorf("%q: expected JSON, seen %q", body, got.standard())
		}
	})
}
