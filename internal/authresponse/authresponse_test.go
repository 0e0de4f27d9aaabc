package authresponse

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ query, flaw string }{
		{"state=s&code=c", ""},
		{"state=s&error=access_denied", ""},
		{"state=s&code=c&iss=", ""},
		{"state=s&code=c&code_challenge=x&state_hash=y", ""},
		{"code=c", "state is missing"},
		{"state=s%0Ax&code=c", "characters that no state of ours has"},
		{"state=s", "code is missing"},
		{"state=s&code=c&error=e", "exclude each other"},
		{"state=s&state=s&code=c", "state appears more than once"},
		{"state=s&code=c&code=c", "code appears more than once"},
		{"state=s&code=c&iss=a&iss=a", "iss appears more than once"},
	} {
		_, err := Parse(tc.query)
		if (err == nil) != (tc.flaw == "") {
			t.Fatalf("%s: expected the error %q, seen %v", tc.query, tc.flaw, err)
		}
		if err != nil && !strings.Contains(err.Error(), tc.flaw) {
			t.Errorf("%s: expected the error %q, seen %v", tc.query, tc.flaw, err)
		}
	}
}

func TestEncodeAndParseAreInverse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"state=s&code=c", "state=s&code=c&iss=", "state=s&code=c%26x&iss=https%3A%2F%2Fop.test",
		"state=s&error=e&error_description=d+d&error_uri=u",
	} {
		first, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(first.Encode()); err != nil || again != first {
			t.Errorf("%s: got %+v and %v, want %+v", text, again, err, first)
		}
	}
}

func TestADescriptionIsBoundedAndInErrorsAlone(t *testing.T) {
	t.Parallel()
	a, err := From(url.Values{"error_description": {strings.Repeat("d", 10*maxErrorDescription)}})
	var words *op.Refusal
	if !errors.As(err, &words) {
		t.Fatalf("expected a refusal, seen %v", err)
	}
	if words.Description == "" {
		t.Error("expected a description, seen none")
	}
	if len(words.Description) > maxErrorDescription {
		t.Errorf("expected a description of %d bytes at most, seen %d", maxErrorDescription, len(words.Description))
	}
	if len(a.errorDescription) != maxErrorDescription {
		t.Errorf("%d bytes are kept", len(a.errorDescription))
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		query    string
		promised bool
		good     bool
	}{
		{"state=s&code=c", false, true},
		{"state=s&code=c", true, false},
		{"state=s&code=c&iss=https%3A%2F%2Fop.test", true, true},
		{"state=s&code=c&iss=https%3A%2F%2Fevil.test", false, false},
		{"state=s&error=e&iss=", true, false},
	} {
		a, err := Parse(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.CheckIssuer(&op.Metadata{Issuer: "https://op.test", IssParameter: tc.promised}); (err == nil) != tc.good {
			t.Errorf("%s, promised %t: the error is %v", tc.query, tc.promised, err)
		}
	}
}

func TestStateAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"state=s": true, "state=s&x=y": true, "state=": false, "state=s&state=s": false, "state=s&code=c": false, "state=s&response=r": false, "": false,
	} {
		if _, alone := StateAlone(text); alone != want {
			t.Errorf("%q: expected %t, seen %t", text, want, alone)
		}
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ query, raw, flaw string }{
		{"response=a.b.c", "a.b.c", ""},
		{"response=a.b.c&session_state=x&iss=y", "a.b.c", ""},
		{"response=a.b.c&code=x", "", "code is there beside the signed response"},
		{"response=a.b.c&error=x", "", "error is there beside the signed response"},
		{"response=a.b.c&state=x", "", "state is there beside the signed response"},
		{"state=x&code=y", "", "the response is not signed"},
		{"error=x", "", "the response is not signed"},
		{"response=a&response=b", "", "response appears more than once"},
		{"response=", "", "response is missing"},
		{"", "", "response is missing"},
	} {
		values, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := Signed(values)
		if (err == nil) != (tc.flaw == "") {
			t.Fatalf("%s: expected the error %q, seen %v", tc.query, tc.flaw, err)
		}
		if err != nil && !strings.Contains(err.Error(), tc.flaw) {
			t.Errorf("%s: expected the error %q, seen %v", tc.query, tc.flaw, err)
		}
		if raw != tc.raw {
			t.Errorf("%s: expected %q, seen %q", tc.query, tc.raw, raw)
		}
	}
}
