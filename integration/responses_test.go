package integration_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestASignedResponseSignsIn(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"jwt", "query.jwt"} {
		for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
			op := newOP(t, oidctest.SignedResponses(), oidctest.Alg(alg))
			r := newHarness(t, protectedBy(op, "response_mode "+mode))
			w := r.witness(op, rpURL)
			check(t, w.get("/page"), mode).leadsWith("response_mode=" + mode)
			check(t, w.walk("/page"), mode+" "+alg).status(http.StatusOK).body("application sees alice")
			r.holdLogs(op, w)
		}
	}
}

func TestASignedResponseMayComeByPost(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.SignedResponses())
	r := newHarness(t, protectedBy(op, "response_mode form_post.jwt"))
	b := r.browser()
	login := beginPosted(t, b, "/page?q=1")
	equal(t, "the parameters of the form", strings.Join(sortedKeys(login.params), " "), "response")
	equal(t, "the transaction: SameSite", login.begun.SameSite, http.SameSiteNoneMode)
	p := login.submit()
	check(t, p).status(http.StatusSeeOther).leadsWithout(op.Issued().Code, "response=")
	check(t, b.open(p.location())).body("application sees alice").at(rpURL + "/page?q=1")
	// Send the same form again, as a reload does.
	check(t, b.open(login.submit().location()), "a second time").body("application sees alice").at(rpURL + "/page?q=1")
	asked(t, op, oidctest.Token, 1)
	r.holdLogs(op)
}

// If a signed-in user sends a form again whose response is no longer valid, it leads where
// the first one led. The POST carries no session, so the browser is redirected to a GET
// with a note, which makes no login and contains nothing of the response.
func TestAPostedResponseThatFailsLeadsASignedInUserToThePage(t *testing.T) {
	t.Parallel()
	another := func(l *posted) {
		l.params.Set("response", beginPosted(t, l.browser, "/@app/auth/default/login?returnto=/other").params.Get("response"))
	}
	for _, row := range []struct {
		name   string
		change func(*posted)
		later  time.Duration
		leads  string
		code   errorcode.Code // for users who are not signed in
	}{
		{"over", func(*posted) {}, 30 * time.Minute, "/page?q=1", errorcode.LoginExpired},
		{"with a bad signature", func(l *posted) {
			l.params.Set("response", breakSignature(l.params.Get("response")))
		}, 0, "/page?q=1", errorcode.BadRequest},
		{"of another login, and over", another, 30 * time.Minute, "/", errorcode.LoginExpired},
		{"without a signature", func(l *posted) { l.params.Set("response", "e30.e30.") }, 0, "/", errorcode.BadRequest},
		{"that is none", func(l *posted) { l.params.Set("response", "x") }, 0, "/", errorcode.BadRequest},
		{"that is missing", func(l *posted) { l.params.Del("response") }, 0, "/", errorcode.BadRequest},
		{"beside a plain one", func(l *posted) { l.params.Set("code", "c") }, 0, "/", errorcode.BadRequest},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			clock := stop(t)
			op := newOP(t, oidctest.SignedResponses(), oidctest.Now(clock.now))
			r := newHarness(t, protectedBy(op, "response_mode form_post.jwt"))
			r.at(clock.now)
			b := r.browser()
			login := beginPosted(t, b, "/page?q=1")
			check(required{t}, b.open(login.submit().location())).body("application sees alice")
			row.change(login)
			before := b.cookies()
			clock.advance(row.later)
			p := login.submit()
			check(required{t}, p).status(http.StatusSeeOther).leadsWithout("response=", "state=", "code=").setsCookies(0)
			check(t, b.get(p.location()), "the user").status(http.StatusSeeOther).leadsTo(row.leads).setsCookies(0)
			equal(t, "the cookies stay", maps.Equal(b.cookies(), before), true)
			check(t, b.open(row.leads), "the page").body("application sees alice")
			asked(t, op, oidctest.Token, 1)

			stranger := r.browser()
			shown := stranger.get(p.location())
			check(t, shown, "a stranger").refused(row.code).setsCookies(0)
			lines := r.logLines(map[string]string{"event": "refused", "code": string(row.code)})
			equal(required{t}, "lines about it in the log", len(lines), 1)
			contains(t, "the page", shown.body, lines[0]["error_id"].(string))
			clock.advance(time.Minute)
			check(t, stranger.get(p.location()), "a stranger, later").refused(errorcode.BadRequest)
			check(t, b.get(p.location()), "the user, later").status(http.StatusSeeOther).leadsTo("/")
			r.holdLogs(op)
		})
	}
}

// A note is valid only at the address that it was made for, and without other parameters.
// Programs get no note.
func TestNotesOfRefusedResponses(t *testing.T) {
	t.Parallel()
	const byPost = "response_mode form_post.jwt"
	r, _ := corpAndPartners(t, map[string]string{"corp": byPost, "partners": byPost})
	const code = "/@app/auth/corp/code"
	p := r.browser().post(code, "response=x", map[string]string{"Sec-Fetch-Site": "cross-site"})
	check(required{t}, p).status(http.StatusSeeOther)
	note := strings.TrimPrefix(p.location(), rpURL+code)
	for name, tc := range map[string]struct {
		address, cause string
		code           errorcode.Code
	}{
		"at its address":              {code + note, "", errorcode.BadRequest},
		"at another provider's":       {"/@app/auth/partners/code" + note, "response is missing", errorcode.BadRequest},
		"with a state, which counts":  {code + note + "&state=abc", "no login is in progress", errorcode.LoginExpired},
		"twice":                       {code + note + "&" + note[1:], "response is missing", errorcode.BadRequest},
		"changed":                     {code + note[:len(note)-2] + "AA", "response is missing", errorcode.BadRequest},
		"beside a response of a kind": {code + note + "&response=y", "not a signed token", errorcode.BadRequest},
	} {
		before := len(r.logLines(map[string]string{"event": "refused"}))
		check(t, r.browser().get(tc.address), name).refused(tc.code)
		lines := r.logLines(map[string]string{"event": "refused"})
		if tc.cause == "" {
			equal(t, name+": further lines in the log", len(lines)-before, 0)
			continue
		}
		equal(required{t}, name+": further lines in the log", len(lines)-before, 1)
		contains(t, name+": the log", lines[before]["error"].(string), tc.cause)
	}
	check(t, r.browser().post(code, "response=x", program), "a program").status(http.StatusForbidden)
}

// encrypting makes a provider encrypt its responses, and returns the option for the key.
func encrypting(t *testing.T, op *oidctest.Provider) string {
	key := ecKey()
	op.SetClient(func(c *oidctest.Client) { c.ResponseKey = key.Public() })
	return "decryption_key " + keyFile(t, key)
}

func TestAnEncryptedResponseSignsIn(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.SignedResponses())
	line := encrypting(t, op)
	r := newHarness(t, protectedBy(op, "response_mode jwt", line))
	w := r.witness(op, rpURL)
	check(t, w.walk("/page")).status(http.StatusOK).body("application sees alice")
	r.holdLogs(op, w)
	for name, lines := range map[string][]string{
		"without a key":   {"response_mode jwt"},
		"another key":     {"response_mode jwt", "decryption_key " + keyFile(t, ecKey())},
		"by POST, no key": {"response_mode form_post.jwt"},
	} {
		r := newHarness(t, protectedBy(op, lines...))
		before := op.Hits(oidctest.Token)
		b := r.browser()
		var p *visited
		if strings.Contains(lines[0], "form_post") {
			p = b.open(beginPosted(t, b, "/page").submit().location())
		} else {
			p = b.open("/page")
		}
		check(t, p, name).refused(errorcode.BadRequest)
		contains(t, name+": the log", r.logs(), "it is encrypted")
		asked(t, op, oidctest.Token, before)
	}
	// The encrypted content must be signed.
	op.Lie(func(l *oidctest.Faults) { l.Authorization.JWT = oidctest.JWTLies{Signature: oidctest.SignCorruptly} })
	check(t, newHarness(t, protectedBy(op, "response_mode jwt", line)).browser().open("/page"), "a bad signature inside").refused(errorcode.BadRequest)
}

func TestASignedResponseThatComesAgainLeadsWhereItLedFirst(t *testing.T) {
	t.Parallel()
	for _, kind := range clockKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			session := ""
			if kind.session != "" {
				session = "session {\n" + kind.session + "\n}"
			}
			s := newRepeatAt(t, newOP(t, oidctest.SignedResponses()), "response_mode jwt\n"+session)
			s.op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Delay = 200 * time.Millisecond })
			s.atOnce(6, func(int) (*harness, string) { return s.here, s.answer })
			s.signsIn("afterwards", s.here, s.bring(s.here))
			if kind.name != "memory" {
				s.signsIn("on the other node", s.there, s.bring(s.there))
			}
			s.once()
		})
	}
}

func TestAResponseThatIsOverLeadsASignedInUserToThePage(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.SignedResponses(), oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op, "response_mode jwt"))
	r.at(clock.now)
	b := r.browser()
	answer := b.open("/page", rpURL+"/@app/auth/default/code").location()
	check(t, b.open(answer)).body("application sees alice")
	clock.advance(30 * time.Minute)
	check(t, b.get(answer), "the user").status(http.StatusSeeOther).leadsTo("/page")
	check(t, r.browser().get(answer), "a stranger").refused(errorcode.LoginExpired)
	asked(t, op, oidctest.Token, 1)
	contains(t, "the log", r.logs(), "it expired")
}

func TestErrorsInSignedResponsesAreShownAsOthers(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]errorcode.Code{"access_denied": errorcode.AccessDenied, "server_error": errorcode.ProviderError} {
		for _, mode := range []string{"jwt", "form_post.jwt"} {
			op := newOP(t, oidctest.SignedResponses())
			op.Lie(func(l *oidctest.Faults) {
				l.Authorization.Error, l.Authorization.Description = code, "described by the provider"
			})
			r := newHarness(t, protectedBy(op, "response_mode "+mode))
			b := r.browser()
			var p *visited
			if mode == "jwt" {
				p = b.open("/page")
			} else {
				p = b.open(beginPosted(t, b, "/page").submit().location())
			}
			check(t, p, mode).refused(want)
			contains(t, mode+": the log", r.logs(), "described by the provider")
		}
	}
}

// An unsigned response is refused. If it is an error, the log has it, since it may say why
// the response is not signed.
func TestAnErrorThatIsNotSignedIsInTheLogAlone(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.SignedResponses())
	r := newHarness(t, protectedBy(op, "response_mode jwt"))
	p := r.browser().get("/@app/auth/default/code?error=unsupported_response_mode&error_description=no+JARM+here&state=abc")
	check(t, p).refused(errorcode.BadRequest).hides("no JARM here", "unsupported_response_mode")
	for _, part := range []string{"the response is not signed", "unsupported_response_mode", "no JARM here"} {
		contains(t, "the log", r.logs(), part)
	}
}

// If the provider's keys cannot be fetched, the page is 503. The same response is accepted
// when the keys are available again.
func TestAResponseWaitsForTheKeysOfTheProvider(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.SignedResponses(), oidctest.Now(clock.now))
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.JWKS).Status = http.StatusBadGateway })
	r := newHarness(t, protectedBy(op, "response_mode jwt"))
	r.at(clock.now)
	b := r.browser()
	answer := b.open("/page", rpURL+"/@app/auth/default/code").location()
	p := b.get(answer)
	check(t, p).status(http.StatusServiceUnavailable).hasHeader("Retry-After").code(errorcode.ProviderUnavailable)
	asked(t, op, oidctest.Token, 0)
	op.Honest()
	clock.advance(longestPause)
	check(t, b.open(answer), "a reload").body("application sees alice")
}

// Anyone can send a JWT to the redirect URI. If its claims are not those of the provider,
// it causes no request for keys. If they are, such JWTs cause few.
func TestStrangersDoNotHaveKeysFetched(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.SignedResponses(), oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op, "response_mode jwt"))
	r.at(clock.now)
	check(t, r.browser().open("/page")).body("application sees alice")
	before := op.Hits(oidctest.JWKS)
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	junk := func(claims map[string]any, kid string) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		succeeds(required{t}, "the signer", err)
		payload, _ := json.Marshal(claims)
		jws, err := signer.Sign(payload)
		succeeds(required{t}, "the signature", err)
		return must(jws.CompactSerialize())
	}
	good := func() map[string]any {
		return map[string]any{"iss": op.Issuer(), "aud": "rp", "exp": clock.now().Add(time.Minute).Unix(), "state": "s", "code": "c"}
	}
	for name, claims := range map[string]map[string]any{
		"another issuer": {"iss": "https://evil.test", "aud": "rp", "exp": clock.now().Add(time.Minute).Unix()},
		"no audience":    {"iss": op.Issuer(), "exp": clock.now().Add(time.Minute).Unix()},
		"no exp":         {"iss": op.Issuer(), "aud": "rp"},
	} {
		check(t, r.browser().get("/@app/auth/default/code?response="+junk(claims, url.QueryEscape(name))), name).refused(errorcode.BadRequest)
	}
	equal(t, "fetches for what is not the provider's by its looks", op.Hits(oidctest.JWKS)-before, 0)
	for i := range 20 {
		r.browser().get("/@app/auth/default/code?response=" + junk(good(), fmt.Sprint("unknown ", i)))
	}
	atMost(t, "fetches for unknown keys", op.Hits(oidctest.JWKS)-before, 3)
	check(t, r.browser().open("/page"), "a user meanwhile").body("application sees alice")
}

// If responses have to be signed and posted, a GET with a state alone is refused, and so
// is one with a code.
func TestAStateAloneIsNoSignedResponse(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.SignedResponses())
	r := newHarness(t, protectedBy(op, "response_mode form_post.jwt"))
	b := r.browser()
	login := beginPosted(t, b, "/page")
	u, err := url.Parse(op.Last(oidctest.Authorize).URL.String())
	succeeds(required{t}, "the authorization request", err)
	state := url.QueryEscape(u.Query().Get("state"))
	check(t, b.get("/@app/auth/default/code?state="+state), "a state alone").refused(errorcode.BadRequest)
	check(t, b.get("/@app/auth/default/code?code=x&state="+state), "a code by GET").refused(errorcode.BadRequest)
	check(t, b.open(login.submit().location()), "the response itself").body("application sees alice")
}
