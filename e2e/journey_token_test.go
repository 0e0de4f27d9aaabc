package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// decryptionKeys creates an RSA and an EC key. It returns PEM files for the relying party
// and the public keys as a JWK Set for the provider.
func decryptionKeys(t *testing.T) (files []string, jwks string) {
	t.Helper()
	forRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := forEC.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []any{
		// The provider has its own key IDs, as after an upload by hand.
		map[string]any{"kty": "RSA", "use": "enc", "kid": "uploaded-rsa", "n": b64(forRSA.N.Bytes()), "e": b64(big.NewInt(int64(forRSA.E)).Bytes())},
		map[string]any{"kty": "EC", "use": "enc", "kid": "uploaded-ec", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for i, key := range []any{forRSA, forEC} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, fmt.Sprintf("%d.pem", i))
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files, string(set)
}

// Each client of the provider signs or encrypts in a different way. All are instances at
// one site, each under its own path.
func TestTokensOfAllKinds(t *testing.T) {
	t.Parallel()
	files, jwks := decryptionKeys(t)
	keys := "decryption_key " + files[0] + " {file." + files[1] + "}"
	clients := map[string]string{ // and the options they need
		"rp-rs512": "", "rp-ps256": "", "rp-es256": "", "rp-es384": "", "rp-es512": "", "rp-eddsa": "", "rp-ed25519": "",
		"rp-hs256": "id_token_algs HS256",
		"rp-enc":   keys, "rp-enc-cbc": keys, "rp-enc-ecdh": keys, "rp-uijwt-enc": keys, "rp-uijwt": "",
		"rp":        keys, // a client that can decrypt also accepts unencrypted tokens
		"rp-closed": "",   // the client rp-enc, without a key
	}
	w := newWorld(t, oidcProvider, site{})
	var ids, instances []string
	for id, options := range clients {
		client := id
		if id == "rp-closed" {
			client = "rp-enc"
		}
		ids = append(ids, id)
		instances = append(instances, fmt.Sprintf(`oidc_rp /%s/* {
			provider %s {
				issuer %s
				client_id %s
				client_secret {env.OIDC_CLIENT_SECRET}
				userinfo always
				%s
			}
		}`, id, id, w.op.issuer, client, options))
	}
	w.op.env = []string{"RP_IDS=" + strings.Join(ids, " "), "RP_ENC_JWKS=" + jwks}
	w.op.start(t)
	w.caddy.start(w.caddy.caddyfile("", fmt.Sprintf(`%s {
		bind 127.0.0.1
		%s
		reverse_proxy %s {
			header_up X-User {http.auth.user.id}
		}
	}`, w.base, strings.Join(instances, "\n"), w.app.addr())))
	for id := range clients {
		path := "/" + id + "/x"
		p := w.newBrowser().signIn(path, "alice")
		if id == "rp-closed" {
			p.is(403, "token_invalid")
			continue
		}
		p.isFor("alice", path)
	}
	if n := w.op.hits(t, "/me"); n != len(clients)-1 {
		t.Errorf("userinfo was asked %d times", n)
	}
}

func TestWhatIsAskedOfAnIDTokenIsThere(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: `authorization_params {
		max_age 600
		claims "{\"id_token\": {\"auth_time\": {\"essential\": true}}}"
	}`})
	form := w.newBrowser().open("/x").asks(w)
	form.signIn("alice").isFor("alice", "/x")
	q := form.authorization()
	if got := q.Get("max_age"); got != "600" {
		t.Errorf("max_age: expected 600, seen %q", got)
	}
	if got := q.Get("claims"); !strings.Contains(got, "auth_time") {
		t.Errorf("claims: expected a request of auth_time, seen %q", got)
	}
}
