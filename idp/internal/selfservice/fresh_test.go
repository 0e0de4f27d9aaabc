package selfservice

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestWhatIsFresh(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, row := range map[string]struct {
		proven map[string]time.Time
		second bool
		want   bool
	}{
		"nothing":                               {nil, false, false},
		"a password five minutes ago":           {map[string]time.Time{"pwd": ago(5 * time.Minute)}, false, true},
		"a password before that":                {map[string]time.Time{"pwd": ago(5*time.Minute + 1)}, false, false},
		"a password without the code":           {map[string]time.Time{"pwd": now}, true, false},
		"a code without the password":           {map[string]time.Time{"otp": now}, true, false},
		"both":                                  {map[string]time.Time{"pwd": now, "otp": now}, true, true},
		"an old password and a code":            {map[string]time.Time{"pwd": ago(time.Hour), "otp": now}, true, false},
		"a password and an old code":            {map[string]time.Time{"pwd": now, "otp": ago(time.Hour)}, true, false},
		"a passkey":                             {map[string]time.Time{"hwk": now}, true, true},
		"a passkey that is synchronized":        {map[string]time.Time{"swk": now}, true, true},
		"an old passkey":                        {map[string]time.Time{"swk": ago(time.Hour)}, true, false},
		"an external provider":                  {map[string]time.Time{"fed": now}, false, true},
		"an external provider without a factor": {map[string]time.Time{"fed": now}, true, false},
		"an external provider with two factors": {map[string]time.Time{"fed": now, "fed-mfa": now}, true, true},
		"a time to come":                        {map[string]time.Time{"pwd": now.Add(time.Hour)}, false, false},
	} {
		if got := isFresh(row.proven, row.second, now); got != row.want {
			t.Errorf("%s: expected fresh %v, seen %v", name, row.want, got)
		}
	}
}

// sensitive are the pages and forms that change how a user signs in.
var sensitive = map[string]string{
	pathPassword: "", pathEmail: "", pathAdd: "kind=totp", pathRemove: "id=f-alice", pathRecovery: "", pathUnlink: "id=", // completed with identityID
}

func linkedUser(h *harness) (*store.User, store.Identity) {
	user := h.create(accounts.NewUser{})
	identity := store.Identity{External: "partners", Issuer: "https://idp.partners.example", Subject: "subject-4711", Name: "alice@partners.example", UserID: user.ID, Created: h.at}
	h.update(func(tx store.Tx) error { return tx.PutIdentity(identity) })
	return user, identity
}

func TestSensitiveChangesNeedAllFactorsWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	for path, query := range sensitive {
		h := newHarness(t)
		user, identity := linkedUser(h)
		h.addTOTP(user)
		if path == pathUnlink {
			query += identityID(identity)
		}
		b := h.browser()
		b.signIn(user, "pwd", "otp")
		page := strings.TrimSuffix(path+"?"+query, "?")
		b.get(page)
		if b.status != http.StatusOK {
			t.Errorf("%s: expected the page at once, seen %d to %s", path, b.status, b.to)
		}
		token := h.manager.FormToken(requestOf(b), "account")
		h.at = h.at.Add(5*time.Minute + time.Second)
		b.get(page).wantsRedirect(path+" later", "/signin/1")
		form, _ := url.ParseQuery(query)
		form.Set(fieldForm, token)
		for field, value := range map[string]string{pages.FieldNewPassword: another, pages.FieldRepeat: another, pages.FieldEmail: "mallory@evil.example"} {
			form.Set(field, value)
		}
		b.post(path, form).wantsRedirect("the form of "+path+" later", "/signin/1")
		if len(h.begun) != 2 {
			t.Fatalf("%s: expected two requests for a sign-in, seen %d", path, len(h.begun))
		}
		for _, q := range h.begun {
			if q.Kind != Kind || q.Subject != user.ID || q.MaxAge == nil || *q.MaxAge != 5*time.Minute || len(q.ACRValues) != 1 || q.ACRValues[0] != "urn:oidc-idp:mfa" {
				t.Errorf("%s: expected a request for all factors within five minutes, seen %+v", path, q)
			}
			back := h.browser()
			back.finish(q)
			back.wantsRedirect("after the sign-in", page)
		}
		if len(h.mails) > 0 || !h.hasPassword(user, right) || h.sessionsOf(user) != 1 {
			t.Errorf("%s: expected that nothing has changed", path)
		}
	}
}

// finish finishes a request, as package signin does.
func (b *browser) finish(q *request.Request) {
	w := newRecorder()
	b.h.Finish(w, requestOf(b), q, nil, nil)
	b.status, b.to = w.Code, w.Header().Get("Location")
}

func TestAfterASignInBrowsersStayHere(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for data, want := range map[string]string{
		`{"path": "/account/email"}`: "/account/email", `{"path": "/account/add-factor?kind=totp"}`: "/account/add-factor?kind=totp",
		"": "/account", `{"path": "https://evil.example/"}`: "/account", `{"path": "//evil.example/account"}`: "/account",
		`{"path": "/account/end-sessions"}`: "/account", `{"path": "/reset"}`: "/account", `{}`: "/account",
	} {
		b := h.browser()
		b.finish(&request.Request{Kind: Kind, Data: []byte(data)})
		b.wantsRedirect(data, want)
	}
}

func TestAPasswordAloneLeadsToNoFirstFactorWhereOneIsRequired(t *testing.T) {
	t.Parallel()
	required := authenticator.New("default")
	required.MFA = authenticator.Required
	h := newHarness(t, required)
	user := h.create(accounts.NewUser{})
	b := h.browser()
	b.signIn(user, "pwd") // from before a factor was required
	b.get(pathAdd+"?kind=totp").wantsRedirect("a factor", "/signin/1")
	if q := h.begun[0]; !q.ACRRequired || len(q.ACRValues) != 1 {
		t.Errorf("expected a sign-in with two factors, which mails a code first, seen %+v", q)
	}
}

// Forms of account pages need the token of the session, and other forms need that of the
// browser. Without it, they change nothing.
func TestEveryFormIsProtected(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.addTOTP(user)
	for _, path := range Paths() {
		if endpoints[path].post == nil {
			continue
		}
		b := h.browser()
		session := b.signIn(user, "pwd", "otp")
		if endpoints[path].get != nil {
			b.get(path)
		}
		fields := url.Values{
			"id": {"f-alice"}, "kind": {"totp"}, pages.FieldUserName: {"alice"}, pages.FieldNewPassword: {another}, pages.FieldRepeat: {another},
			pages.FieldEmail: {"mallory@evil.example"}, pages.FieldName: {"Mallory"}, pages.FieldLabel: {"x"},
		}
		for name, token := range map[string]string{"none": "", "another": "AAAA", "of another browser": openToken("x", path)} {
			fields.Set(fieldForm, token)
			b.post(path, fields)
			if b.status != http.StatusForbidden {
				t.Errorf("%s with the token %s: expected status 403, seen %d", path, name, b.status)
			}
		}
		valid := h.tokenFor(b, path)
		fields.Set(fieldForm, valid)
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := postRequest(path, fields)
			r.Header.Set(header, value)
			if b.send(r); b.status != http.StatusForbidden {
				t.Errorf("%s from another site by %s: expected status 403, seen %d", path, header, b.status)
			}
		}
		r := postRequest(path, fields)
		r.Header.Set("Content-Type", "text/plain")
		if b.send(r); b.status != http.StatusBadRequest {
			t.Errorf("%s as text: expected status 400, seen %d", path, b.status)
		}
		if err := h.manager.End(t.Context(), session.SID); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.mails) > 0 || !h.hasPassword(user, right) {
		t.Error("expected that nothing has changed")
	}
}

func TestWithoutASessionThePageLeadsToASignIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, path := range Paths() {
		e := endpoints[path]
		if e.open || e.get == nil {
			continue
		}
		h.begun = nil
		h.browser().get(path).wantsRedirect(path, "/signin/1")
		if q := h.begun[0]; q.Subject != "" || q.MaxAge != nil {
			t.Errorf("%s: expected an ordinary sign-in, seen %+v", path, q)
		}
	}
}
