package e2e

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestRequestsAreSigned(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	w := newWorld(t, oidcProvider, site{})
	w.op.env = []string{"RP_JWKS=" + keys.public}
	w.op.start(t)
	for _, secret := range keys.secrets {
		w.secrets.add("private key", secret)
	}
	const alone = "client_id, request"
	pushed := "pushed_authorization_request_endpoint " + w.op.issuer + "/request\n"
	signsInWithEach(t, w, []secured{
		{name: "signed", client: "rp-jar", options: "request_object signed\nclient_keys " + keys.sec1, check: carries(alone, 3)},
		{name: "signed with another algorithm", client: "rp-jar", options: "request_object signed\nclient_keys " + keys.psJWK, check: carries(alone, 3)},
		{name: "encrypted", client: "rp-jar", options: "request_object encrypted\nclient_keys " + keys.ed25519, check: carries(alone, 5)},
		{name: "signed with the secret", client: "rp", options: "request_object signed", check: carries(alone, 3)},
		{name: "pushed", client: "rp-jar-par", options: pushed + "request_object signed\nclient_keys " + keys.sec1, check: carries("client_id, request_uri", 0)},
	})
	if err := w.caddy.reload(w.config(site{client: "rp-jar"})); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().open("/x").is(403)
}

// carries fails unless the browser carried only these parameters, apart from those that
// OpenID Connect requires outside of a request object too. parts is how many parts the
// request object has, 0 if it does not matter.
func carries(want string, parts int) func(*world, *page, *page) {
	return func(w *world, form, _ *page) {
		w.t.Helper()
		q := w.begun(form)
		for _, twice := range []string{"response_type", "scope"} {
			q.Del(twice)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(q)), ", "); got != want {
			w.t.Errorf("expected the browser to carry %s, seen %s", want, got)
		}
		if parts > 0 && strings.Count(q.Get("request"), ".") != parts-1 {
			w.t.Errorf("expected a request of %d parts, seen %.60q", parts, q.Get("request"))
		}
	}
}

// begun returns the parameters that the browser carried to the authorization endpoint.
func (w *world) begun(form *page) url.Values {
	w.t.Helper()
	for _, h := range form.hops {
		if strings.HasPrefix(h.url, w.op.issuer+"/auth?") {
			return mustParse(h.url).Query()
		}
	}
	w.t.Fatalf("no login was begun:%s", form)
	return nil
}

// hides fails unless the site requested this response mode and the browser brought no
// code in a URL.
func hides(mode string) func(*world, *page, *page) {
	return func(w *world, form, end *page) {
		w.t.Helper()
		if got := w.begun(form).Get("response_mode"); got != mode {
			w.t.Errorf("expected the mode %q, seen %q", mode, got)
		}
		for _, h := range end.hops {
			if strings.Contains(h.url, "/@app/auth/default/code") && mustParse(h.url).Query().Has("code") {
				w.t.Errorf("expected a code within a JWT, seen one beside it: %.200s", h.url)
			}
		}
	}
}

func TestResponsesAreSigned(t *testing.T) {
	t.Parallel()
	files, jwks := decryptionKeys(t)
	w := newWorld(t, oidcProvider, site{})
	w.op.env = []string{"RP_ENC_JWKS=" + jwks}
	w.op.start(t)
	keys := fmt.Sprintf("\ndecryption_key %s %s", files[0], files[1])
	signsInWithEach(t, w, []secured{
		{name: "in the address", client: "rp-jarm", options: "response_mode query.jwt", check: hides("query.jwt")},
		{name: "as the provider likes", client: "rp-jarm", options: "response_mode jwt", check: hides("jwt")},
		{name: "signed with another algorithm", client: "rp-jarm-es256", options: "response_mode jwt", check: hides("jwt")},
		{name: "encrypted", client: "rp-jarm-enc", options: "response_mode jwt" + keys, check: hides("jwt")},
	})
}

func TestSignedResponsesComeByPost(t *testing.T) {
	t.Parallel()
	files, jwks := decryptionKeys(t)
	w := newWorld(t, oidcProvider, site{tls: true})
	w.posted = true
	w.op.env = []string{"RP_ENC_JWKS=" + jwks}
	w.op.start(t)
	signsInWithEach(t, w, []secured{
		{name: "signed", client: "rp-jarm", options: "response_mode form_post.jwt", check: hides("form_post.jwt")},
		{name: "encrypted", client: "rp-jarm-enc", options: fmt.Sprintf("response_mode form_post.jwt\ndecryption_key %s %s", files[0], files[1]), check: hides("form_post.jwt")},
	})
}

// The client combines everything: a key for the client, one for the tokens, and pushed
// requests.
func TestAProfileOfFAPISignsIn(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	w := newWorld(t, oidcProvider, site{})
	w.op.env = []string{"RP_JWKS=" + keys.public, fmt.Sprintf("AT_TTL=%d", int(boundFor.Seconds()))}
	w.op.start(t)
	for _, secret := range keys.secrets {
		w.secrets.add("private key", secret)
	}
	client := "\nclient_auth private_key_jwt " + keys.psJWK + "\ndpop on\nprofile "
	signsInWithEach(t, w, []secured{
		{name: "security", client: "rp-fapi", secret: "-", options: refreshes + client + "fapi2", bound: true, check: carries("client_id, request_uri", 0)},
		{name: "message signing", client: "rp-fapi-signing", secret: "-", options: refreshes + client + "fapi2_message_signing", bound: true, check: carries("client_id, request_uri", 0)},
	})
}
