package signin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// All forms of all steps are refused without the form token, with the token of another
// request, from another site, and in another browser. Refused forms change nothing.
func TestNoFormIsTakenFromElsewhere(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	b, other := h.browser(), h.browser()
	b.begin(request.Request{}).expect(onName)
	path, own := b.path, hidden.FindStringSubmatch(b.body)[1]
	b.begin(request.Request{ClientID: "shop"}).expect(onName)
	of := hidden.FindStringSubmatch(b.body)[1]

	row := func() (row *store.Request) {
		h.update(func(tx store.Tx) (err error) {
			row, err = tx.Request(strings.TrimPrefix(path, prefix))
			return err
		})
		return row
	}
	before := string(row().Data)
	fields := url.Values{
		"username": {"ada"}, "password": {"correct horse"}, "code": {"000000"}, "choice": {"continue"}, "kind": {"totp"},
		"newpassword": {"correct horse"}, "repeat": {"correct horse"}, "credential": {"{}"}, "external": {"partners"},
	}
	with := func(token string) url.Values {
		form := url.Values{fieldToken: {token}}
		for name, values := range fields {
			form[name] = values
		}
		return form
	}
	forms := 0
	for name, e := range endpoints {
		if e.post == nil {
			continue
		}
		forms++
		address := pathOf(strings.TrimPrefix(path, prefix), name)
		for _, test := range []struct {
			name   string
			from   *browser
			form   url.Values
			change func(*http.Request)
		}{
			{"without a form token", b, fields, func(*http.Request) {}},
			{"with the form token of another request", b, with(of), func(*http.Request) {}},
			{"from another site", b, with(own), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
			{"from another origin", b, with(own), func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
			{"in another browser", other, with(own), func(*http.Request) {}},
			{"with the form token in the address", b, fields, func(r *http.Request) { r.URL.RawQuery = with(own).Encode() }},
		} {
			test.from.do(http.MethodPost, address, test.form, test.change)
			if test.from.status != http.StatusForbidden {
				t.Errorf("%s, %s: expected status 403, seen %d", name, test.name, test.from.status)
			}
		}
	}
	if forms < 10 {
		t.Errorf("expected all forms to be tried, seen %d", forms)
	}
	if after := string(row().Data); after != before {
		t.Errorf("expected the request to stay as it was, seen %s after %s", after, before)
	}
}

func TestAFormIsOfABoundedSize(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.browser()
	b.begin(request.Request{}).submit("username", strings.Repeat("a", maxName+1)).expect("Enter your user name")
	b.submit("username", "ada\x00").expect("Enter your user name")
	b.submit("username", "ada\xff").expect("Enter your user name")
	b.submit("username", strings.Repeat("a", maxName)).expect(onPassword)
}

// FuzzForm sends arbitrary forms to a sign-in whose password the sender does not know.
func FuzzForm(f *testing.F) {
	f.Add("password", "ada", "password=wrong&code=755224&remember=on")
	f.Add("password", "ada", "recovery=0000-0000-0000-0000&password=")
	f.Add("factor", "ada", "code=755224&code2=287082")
	f.Add("enrol", "bob", "code=755224&label=x")
	f.Add("newpassword", "ada", "newpassword=correct+horse&repeat=correct+horse")
	f.Add("passkey", "", `credential={"id":"a","rawId":"a","type":"public-key","response":{}}`)
	f.Add("mailed", "bob", "code=00000000")
	f.Add("choose", "", "choice=continue")
	f.Add("link", "", "choice=continue")
	f.Add("name", "x", "username=ada%00&external=")
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, form, name, fields string) {
		b := h.browser()
		b.t = t
		b.begin(request.Request{}).expect(onName)
		path, token := b.path, hidden.FindStringSubmatch(b.body)[1]
		values, err := url.ParseQuery(fields)
		if err != nil {
			return
		}
		values.Set(fieldToken, token)
		b.do(http.MethodPost, path+"/name", url.Values{fieldToken: {token}, "username": {name}})
		if _, ok := endpoints[form]; !ok {
			form = "password"
		}
		b.do(http.MethodPost, pathOf(strings.TrimPrefix(path, prefix), form), values)
		if b.status >= http.StatusInternalServerError {
			t.Errorf("expected no failure, seen %d", b.status)
		}
		if strings.HasPrefix(b.body, "finished") {
			t.Error("expected no sign-in without the password")
		}
		for cookie := range b.cookies {
			if strings.Contains(cookie, "session") || strings.Contains(cookie, "device") {
				t.Errorf("expected no cookie of a session, seen %s", cookie)
			}
		}
	})
}

// fuzzed returns a harness with a user who has a token and one who must enrol. Their
// passwords cannot be guessed.
func fuzzed(t testing.TB) *harness {
	h := newHarness(t)
	h.addToken(h.addUser("ada", "a password that a fuzzer does not find"))
	h.changeUser(h.addUser("bob", "another password that a fuzzer does not find"), func(u *store.User) { u.MustEnrol = true })
	return h
}
