package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Applications can keep ID tokens longer than we keep their keys. Such a token proves
// nothing, so a logout with it asks the user first, and then returns to the application.
func TestAnIDTokenThatOutlivesItsKey(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	hint := n.redeemWiki(n.code(b, wikiRequest())).ID
	rotation, err := n.Keys.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	n.clock.add(rotation.Retired.Sub(n.clock.Now()))
	n.code(b, wikiRequest()) // the user has signed in again in the meantime
	q := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"x"}}
	w := b.visit(n, http.MethodGet, issuer+"/end_session?"+q.Encode(), "")
	if w.Header().Get("X-Page") != "sign_out" || !n.isSignedIn(b) {
		t.Fatalf("expected a page that asks, seen %d %v", w.Code, w.Header())
	}
	form := hiddenOf(t, w)
	form.Set("choice", "signout")
	w = b.visit(n, http.MethodPost, issuer+"/end_session", form.Encode())
	if w.Header().Get("Location") != bye+"?state=x" || n.isSignedIn(b) {
		t.Errorf("expected to be signed out and sent to the client, seen %d %v", w.Code, w.Header())
	}
	for name, changed := range map[string]url.Values{
		"another client":           {"id_token_hint": {hint}, "client_id": {"other"}},
		"another client's address": with(cloneValues(q), "post_logout_redirect_uri", "https://other.example.net/bye"),
	} {
		w := b.visit(n, http.MethodGet, issuer+"/end_session?"+changed.Encode(), "")
		if w.Header().Get("X-Page") != "error" || w.Header().Get("Location") != "" {
			t.Errorf("%s: expected an error page, seen %d %v", name, w.Code, w.Header())
		}
	}
	w = b.visit(n, http.MethodGet, issuer+"/authorize?"+with(wikiRequest(), "id_token_hint", hint).Encode(), "")
	if seen := location(t, w, callback+"?").Get("error"); seen != "invalid_request" {
		t.Errorf("expected that it cannot say who is to sign in, seen %q", seen)
	}
}

// An ID token that another party signed ends no session.
func TestAnIDTokenThatSomebodyElseSigned(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	_, own := claims(t, n.redeemWiki(n.code(b, wikiRequest())).ID)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(kid string, change func(map[string]any)) string {
		t.Helper()
		said := maps.Clone(own)
		if change != nil {
			change(said)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jwt.Signed(signer).Claims(said).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, tc := range map[string]struct{ hint, page string }{
		"with a key id that is not ours": {sign("unknown", nil), "sign_out"},
		"with the key id of ours":        {sign(n.signs(), nil), "error"},
		"without a key id":               {sign("", nil), "error"},
		"of another issuer":              {sign("unknown", func(c map[string]any) { c["iss"] = "https://other.test" }), "error"},
		"for no client":                  {sign("unknown", func(c map[string]any) { delete(c, "aud") }), "error"},
		"for two clients":                {sign("unknown", func(c map[string]any) { c["aud"] = []string{"wiki", "other"} }), "error"},
		"of no user":                     {sign("unknown", func(c map[string]any) { delete(c, "sub") }), "error"},
	} {
		w := b.visit(n, http.MethodGet, issuer+"/end_session?id_token_hint="+tc.hint, "")
		if seen := w.Header().Get("X-Page"); seen != tc.page {
			t.Errorf("%s: expected the page %s, seen %s", name, tc.page, seen)
		}
	}
	if !n.isSignedIn(b) {
		t.Error("expected the session to go on")
	}
}

// hiddenOf returns the hidden fields of the confirmation page.
func hiddenOf(t *testing.T, w *httptest.ResponseRecorder) url.Values {
	t.Helper()
	var hidden map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &hidden); err != nil {
		t.Fatal(err)
	}
	fields := url.Values{}
	for name, value := range hidden {
		fields.Set(name, value)
	}
	return fields
}
