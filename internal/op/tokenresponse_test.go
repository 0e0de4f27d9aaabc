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

// Fault E4, report F10: odd forms of what nobody needs count as absent.
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
		if err != nil || got.expiresIn != tc.want || (len(got.odd) == 1) != tc.odd {
			t.Errorf("%s: %+v, %v", tc.written, got, err)
		}
	}
}

// Report F10, contract 5.13.
func TestAdvisoryMembersOfAnyFormFailNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"scope", "expires_in", "refresh_expires_in", "session_state", "not-before-policy", "refresh_token", "token_type", "ext_expires_in", "issued_token_type"} {
		for _, value := range []string{`null`, `""`, `"x"`, `1`, `1.5`, `-1`, `1e400`, `true`, `[]`, `["x"]`, `{}`, `{"a":[1]}`} {
			got, err := readTokens(tokenAnswerOf(200, "application/json", `{"access_token":"a","id_token":"i","`+name+`":`+value+`}`))
			if err != nil || got.accessToken != "a" || got.idToken != "i" {
				t.Errorf("%s %s: %+v, %v", name, value, got, err)
			}
		}
	}
}

func TestTokenTypeIsToldApart(t *testing.T) {
	t.Parallel()
	for written, good := range map[string]bool{`"Bearer"`: true, `"bEARER"`: true, `"mac"`: false, `""`: false, "null": false, "1": false, `["Bearer"]`: false, `"N_A"`: false} {
		got, err := readTokens(tokenAnswerOf(200, "", `{"access_token":"a","id_token":"i","token_type":`+written+`}`))
		if err != nil || (got.notBearer == nil) != good {
			t.Errorf("%s: %+v, %v", written, got, err)
		}
	}
}

// Fault E3, report F2: an answer is read by what it is, and not by its label.
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
				if refused == nil || refused.Code != "invalid_grant" || refused.Description != "gone" || refused.Status != status {
					t.Errorf("%q with %d: %v", label, status, err)
					continue
				}
				var failed *RefreshError
				if !errors.As(refreshError(err, "none"), &failed) || !failed.Over {
					t.Errorf("%q with %d: a refresh is not over: %+v", label, status, failed)
				}
			}
		}
	}
	var failed *RefreshError
	_, err := readTokens(tokenAnswerOf(503, "application/json", `{"error":"invalid_grant"}`))
	if !errors.As(refreshError(err, "none"), &failed) || failed.Over || !failed.Down {
		t.Errorf("a server in trouble: %+v", failed)
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
		if status != 200 || got.accessToken == "" || got.expiresIn < 0 || got.expiresIn > maxTokenLife || !json.Valid(got.standard()) {
			t.Errorf("%q with %d: %+v", body, status, got)
		}
	})
}
