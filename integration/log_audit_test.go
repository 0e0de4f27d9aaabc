package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Sign-ins and logouts are in the audit log with the user and the session.
func TestAuditNamesWhoSignsInAndOut(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	signedIn := r.lastAudited("signed_in")
	holdFields(t, signedIn, alice(op, map[string]any{"msg": "signed in", "host": "rp.test"}))
	if id, _ := signedIn["session"].(string); len(id) != 16 {
		t.Errorf("the session: expected 16 hexadecimal digits, seen %q", id)
	}
	b.get("/Special:UserLogout")
	holdFields(t, r.lastAudited("signed_out"), alice(op, map[string]any{"msg": "signed out", "session": signedIn["session"], "via": "logout"}))
}

// A logout by the provider is in the audit log without the provider's session id, since
// whoever knows it can end the session.
func TestAuditOfLogoutsByTheProvider(t *testing.T) {
	t.Parallel()
	for via, logout := range map[string]func(*logoutScene, *browser, oidctest.Issued){
		"back_channel": func(s *logoutScene, b *browser, _ oidctest.Issued) {
			token := s.op.Mint(map[string]any{
				"iss": s.op.Issuer(), "aud": s.op.Client().ID, "sub": s.op.Issued().Subject, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
				"jti": "one", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
			}, oidctest.JWTLies{})
			b.post("/@app/auth/default/backchannel-logout", "logout_token="+token, nil)
		},
		"front_channel": func(s *logoutScene, b *browser, issued oidctest.Issued) {
			query := url.Values{"iss": {s.op.Issuer()}, "sid": {issued.SID}}
			b.send("GET", "/@app/auth/default/frontchannel-logout?"+query.Encode(), map[string]string{"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"})
		},
	} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			s := newLogoutScene(t)
			b, _, issued := s.signIn("alice")
			logout(s, b, issued)
			line := s.here.lastAudited("signed_out")
			holdFields(t, line, map[string]any{"subject": issued.Subject, "provider": "default", "client_ip": "127.0.0.1", "via": via})
			if strings.Contains(fmt.Sprint(line), issued.SID) {
				t.Errorf("the line holds the sid, by which anyone can end the session: %v", line)
			}
			if in := s.here.lastAudited("signed_in"); via == "front_channel" {
				holdFields(t, line, map[string]any{"user": "alice", "session": in["session"], "provider_session": in["provider_session"]})
			}
		})
	}
}

// A revocation by the admin API is in the audit log.
func TestAuditOfARevocation(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	signedIn(t, r)
	subject := op.Issued().Subject
	ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", fmt.Sprintf(`{"subject": %q}`, subject))
	holdFields(t, r.lastAudited("revoked"), map[string]any{"subject": subject, "provider": "default", "issuer": op.Issuer(), "via": "admin_api", "kind": "subject", "client_ip": "192.0.2.1"})
}

// A refused callback is in the audit log with its error code, and with the user if known.
func TestAuditOfRefusals(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		max_chunks 1
	}
}
`)
	p := r.browser().get("/@app/auth/default/code?state=x")
	line := r.lastAudited("refused")
	holdFields(t, line, map[string]any{"code": "bad_request", "provider": "default", "user": "", "subject": "", "session": "", "client_ip": "127.0.0.1", "host": "rp.test"})
	id, _ := line["error_id"].(string)
	differs(t, "the error id in the log", id, "")
	check(t, p).shows(id)
	user := op.User("alice")
	for i := range 4000 { // of different values, which hardly compress
		user.Claims[fmt.Sprintf("claim_%d", i)] = fmt.Sprintf("%x", i*7919)
	}
	op.SetUser("alice", user)
	check(required{t}, r.browser().open("/")).status(http.StatusForbidden)
	holdFields(t, r.lastAudited("refused"), alice(op, map[string]any{"code": "session_too_large"}))
}

// After the ID token is verified, a refusal names its subject even if there is no user
// name.
func TestAuditOfARefusalAfterTheIDToken(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo always
	username_claim nowhere
}
`)
	check(required{t}, r.browser().open("/")).status(http.StatusForbidden)
	holdFields(t, r.lastAudited("refused"), map[string]any{"user": "", "subject": op.Issued().Subject, "provider": "default", "client_ip": "127.0.0.1"})
}

// Names in the log are limited in length, and characters that could act on a terminal are
// escaped.
func TestLoggedNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"alice": "alice", "Zoë 李": "Zoë 李", "a\nb": `a\u000ab`, "a\x1b[2J": `a\u001b[2J`, "\u202eecila": `\u202eecila`, "a\u2066b\u2069": `a\u2066b\u2069`,
		"a\u2028b\u2029": `a\u2028b\u2029`, "\xff": `\xff`, "\u0085": `\u0085`, "\u200b": `\u200b`,
	} {
		equal(t, fmt.Sprintf("%q in the log", text), logtext.Clean(text, logtext.MaxName), want)
	}
	for _, piece := range []string{"a", "é", "\n", "\u202e"} {
		got := logtext.Clean(strings.Repeat(piece, 10000), logtext.MaxName)
		atMost(t, fmt.Sprintf("%q many times: the size", piece), len(got), logtext.MaxName)
		atLeast(t, fmt.Sprintf("%q many times: the size", piece), len(got), logtext.MaxName-10)
		equal(t, fmt.Sprintf("%q many times: an escape is cut", piece), strings.HasSuffix(got, `\u`), false)
	}
}

// Many bad requests to the redirect URI write a limited number of lines to the audit log.
func TestAFloodAtTheRedirectURILeavesFewLines(t *testing.T) {
	const linesOfOneClient = 60 // in a minute
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	b := r.browser()
	for range 3 * linesOfOneClient {
		b.get("/@app/auth/default/code?state=x&code=y")
	}
	lines := len(r.audited("refused"))
	atLeast(t, "the number of lines", lines, 10)
	atMost(t, "the number of lines", lines, linesOfOneClient+2)
}
