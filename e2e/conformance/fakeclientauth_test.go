package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
)

// authenticate checks that the client uses exactly its registered authentication method
// and credentials.
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

// checkAssertion checks a client assertion with the registered key. The client signs with
// RS256, as registered in the OpenID Connect plans.
func (r *fakeRun) checkAssertion(assertion string) error {
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return fmt.Errorf("the assertion is no JWT by RS256: %w", err)
	}
	key, err := registeredKey(r.client)
	if err != nil {
		return err
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return fmt.Errorf("the assertion: %w", err)
	}
	var claims struct{ Iss, Sub string }
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	if claims.Iss != clientID || claims.Sub != clientID {
		return fmt.Errorf("the assertion is about %q", claims.Sub)
	}
	return nil
}

// registeredKey returns the public key that a client has registered for its signatures.
func registeredKey(client map[string]any) (jose.JSONWebKey, error) {
	text, err := json.Marshal(client["jwks"])
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return jose.JSONWebKey{}, err
	}
	for _, key := range set.Keys {
		if key.Use == "sig" {
			return key, nil
		}
	}
	return jose.JSONWebKey{}, errors.New("no key for signatures is registered")
}
