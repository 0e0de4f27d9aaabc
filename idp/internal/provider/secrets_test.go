package provider

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
)

// A copy of the database and of the log contains no secret that gives access.
func TestSecretsAreNeitherInTheDatabaseNorInTheLog(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db, err := database.Open(t.Context(), database.Options{SQLite: filepath.Join(folder, "accounts.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	n := nodeOn(t, db, &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
	n.putUser(ada())
	b := browser{}
	code := n.code(b, spaRequest())
	first := n.redeemSPA(code)
	n.redeemSPA(code)
	second := n.refreshSPA(first.Refresh)
	n.refreshSPA(first.Refresh)
	unused := n.code(b, wikiRequest())
	n.userinfoStatus(second.Access)
	n.redeemWiki("wrong")
	b.visit(n, http.MethodGet, issuer+"/end_session?id_token_hint="+first.ID, "")
	secrets := map[string]string{
		"code": code, "code that was not used": unused, "verifier": verifier, "access token": first.Access, "second access token": second.Access,
		"refresh token": first.Refresh, "second refresh token": second.Refresh, "ID token": first.ID, "client secret": wikiKey,
	}
	for name, value := range b {
		secrets["cookie "+name] = value
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("expected the files of the database, seen %v %v", files, err)
	}
	places := map[string][]byte{"the log": n.log.Bytes()}
	for _, file := range files {
		if places[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for place, content := range places {
		for name, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("expected no %s in %s, seen it", name, place)
			}
		}
	}
	if !bytes.Contains(n.log.Bytes(), []byte("code_reused")) && !bytes.Contains(n.log.Bytes(), []byte("refresh_token_reused")) {
		t.Errorf("expected a reuse in the log, seen %s", n.log)
	}
}

// Tokens verify with the published keys and the algorithm of their client.
func TestWhatIsSignedVerifiesWithThePublishedKeys(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	var keys jose.JSONWebKeySet
	w := n.serve(httptest.NewRequest(http.MethodGet, issuer+"/jwks", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &keys); err != nil {
		t.Fatal(err)
	}
	other := with(wikiRequest(), "client_id", "other", "redirect_uri", "https://other.example.net/cb")
	form := with(redeemForm(n.code(browser{}, other)), "redirect_uri", "https://other.example.net/cb")
	for alg, token := range map[jose.SignatureAlgorithm]string{
		jose.RS256: n.redeemWiki(n.code(browser{}, wikiRequest())).ID,
		jose.ES256: n.tokens(form, basic("other", "other-secret")).ID,
		"at+jwt":   n.tokens(url.Values{"grant_type": {"client_credentials"}}, basic("wiki", wikiKey)).Access,
	} {
		want := alg
		if alg == "at+jwt" {
			want = jose.RS256
		}
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{want})
		if err != nil {
			t.Errorf("%s: expected a token by %s, seen %v", alg, want, err)
			continue
		}
		found := keys.Key(parsed.Headers[0].KeyID)
		if len(found) != 1 || found[0].Algorithm != string(want) || found[0].Use != "sig" {
			t.Errorf("%s: expected one key for signatures by %s, seen %v", alg, want, found)
			continue
		}
		var body map[string]any
		if err := parsed.Claims(found[0].Key, &body); err != nil {
			t.Errorf("%s: expected the signature to be right, seen %v", alg, err)
		}
	}
}

func TestProgramsWithASchemeOfTheirOwn(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const target = "com.example.app:/callback"
	n.Clients.configured["spa"].RedirectURIs = []string{target}
	q := with(spaRequest(), "redirect_uri", target)
	w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	form := with(redeemForm(location(t, w, target+"?").Get("code")), "redirect_uri", target, "client_id", "spa")
	if got := n.tokens(form); got.status != http.StatusOK {
		t.Errorf("expected tokens, seen %+v", got)
	}
}
