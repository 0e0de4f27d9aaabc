package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
)

// authenticate holds the client to the one way in which it must authenticate,
// with what was registered for it.
func (r *fakeRun) authenticate(q *http.Request) error {
	id, secret, basic := q.BasicAuth()
	if basic != (r.auth == "client_secret_basic") {
		return fmt.Errorf("HTTP Basic is sent: %t", basic)
	}
	form := q.PostForm
	if form.Has("client_secret") != (r.auth == "client_secret_post") {
		return fmt.Errorf("a client_secret is sent: %t", form.Has("client_secret"))
	}
	if form.Has("client_assertion") != (r.auth == "private_key_jwt") {
		return fmt.Errorf("an assertion is sent: %t", form.Has("client_assertion"))
	}
	switch r.auth {
	case "client_secret_basic":
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
		if id != clientID || secret != r.text("client_secret") {
			return errors.New("the client's id or secret is wrong")
		}
		return nil
	case "client_secret_post":
		if form.Get("client_secret") != r.text("client_secret") {
			return errors.New("the secret is wrong")
		}
	case "private_key_jwt":
		return r.checkAssertion(form.Get("client_assertion"))
	case "tls_client_auth", "self_signed_tls_client_auth":
		block, _ := pem.Decode([]byte(r.text("certificate")))
		if block == nil || len(q.TLS.PeerCertificates) == 0 || !bytes.Equal(q.TLS.PeerCertificates[0].Raw, block.Bytes) {
			return errors.New("the registered certificate is not presented")
		}
	}
	if form.Get("client_id") != clientID {
		return errors.New("the client_id is wrong")
	}
	return nil
}

func (r *fakeRun) checkAssertion(assertion string) error {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return errors.New("the assertion is no JWT")
	}
	var header struct{ Alg, Kid string }
	var claims struct{ Iss, Sub string }
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
	}
	if header.Alg != "RS256" || claims.Iss != clientID || claims.Sub != clientID {
		return fmt.Errorf("the assertion is signed with %s, and is about %q", header.Alg, claims.Sub)
	}
	key, err := r.registered(header.Kid)
	if err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature)
}

// registered is a key of the client by its id.
func (r *fakeRun) registered(kid string) (*rsa.PublicKey, error) {
	text, err := json.Marshal(r.client["jwks"])
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, Use, N, E string }
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if k.Kid == kid && k.Use == "sig" {
			n, err := base64.RawURLEncoding.DecodeString(k.N)
			if err != nil {
				return nil, err
			}
			e, err := base64.RawURLEncoding.DecodeString(k.E)
			return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, err
		}
	}
	return nil, fmt.Errorf("no key %q is registered", kid)
}
