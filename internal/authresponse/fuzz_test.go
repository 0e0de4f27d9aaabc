package authresponse

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// A response has one valid state, and either a code or an error. Encoding it in a
// transaction does not change it, and other parsers of the query see the same
// parameters.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"state=s&code=c", "state=s&error=access_denied&error_description=no+way", "state=s&code=c&iss=https%3A%2F%2Fop.example", "state=s&code=c&code=d", "code=c", "state=&code=c",
		"state=s&code=c&error=e", "state=s;code=c", "state=s%0a&code=c", "%73tate=s&%63ode=%", "state=s&code=c&error_description=" + strings.Repeat("x", 700), "&&state=s&code=c&=&x=%zz", "state=s&code=c&iss=",
	} {
		f.Add(text)
	}
	f.Add("response=a.b.c")
	f.Add("response=a.b.c&state=s&error=e")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if state, alone := StateAlone(text); alone && (err == nil || state == "") {
			t.Errorf("%q: expected no response beside a state alone, seen %+v", text, a)
		}
		values := query.Only(text, append([]string{Parameter}, Parameters...)...)
		if raw, unsigned := Signed(values); unsigned == nil && (raw == "" || values.Has("code") || values.Has("error") || values.Has("state")) {
			t.Errorf("%q: expected no signed response beside plain parameters, seen %q", text, raw)
		}
		if err != nil {
			return
		}
		if a.State == "" || strings.Trim(a.State, stateAlphabet) != "" {
			t.Errorf("%q: expected a state of ours, seen %q", text, a.State)
		}
		if (a.Code == "") == (a.ErrorCode == "") {
			t.Errorf("%q: expected either a code or an error, seen %q and %q", text, a.Code, a.ErrorCode)
		}
		if again, err := Parse(a.Encode()); err != nil || again != a {
			t.Errorf("%q: %+v comes back as %+v, %v", text, a, again, err)
		}
		if other, err := url.ParseQuery(text); err == nil {
			if other.Get("state") != a.State || other.Get("code") != a.Code || other.Get("iss") != a.issuer {
				t.Errorf("%q: expected %v, seen %+v", text, other, a)
			}
		}
		if described := a.Refused("secret"); len(described.Error()) > 3000 {
			t.Errorf("%q: expected a short error, seen one of %d bytes", text, len(described.Error()))
		}
	})
}
