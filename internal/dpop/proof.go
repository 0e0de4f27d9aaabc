package dpop

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// Header is the request header with the proof.
const Header = "DPoP"

// Request describes the request that a proof is for (RFC 9449, section 4.2).
type Request struct {
	Method string
	URL    *url.URL
	At     time.Time
	// Nonce is the nonce that the server requires; empty for none.
	Nonce string
	// AccessToken is the access token in the request; empty for none.
	AccessToken string
}

// Proof returns a new proof for one request.
func (k *Key) Proof(r Request) (string, error) {
	claims := struct {
		ID       string `json:"jti"`
		Method   string `json:"htm"`
		URL      string `json:"htu"`
		IssuedAt int64  `json:"iat"`
		Hash     string `json:"ath,omitempty"`
		Nonce    string `json:"nonce,omitempty"`
	}{ID: rand.Text(), Method: r.Method, URL: Target(r.URL), IssuedAt: r.At.Unix(), Nonce: r.Nonce}
	if r.AccessToken != "" {
		sum := sha256.Sum256([]byte(r.AccessToken))
		claims.Hash = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("write the DPoP proof: %w", err)
	}
	// The compact serialization (RFC 7515 7.1), with a header that is the same for all
	// proofs of the key. go-jose would write it four times for each.
	input := k.header + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := k.sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("sign the DPoP proof: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// sign returns the signature of a JWS (RFC 7518 3.4, RFC 8037 3.1). That of ES256 is
// deterministic (RFC 6979), which takes less time than one with hedged randomness.
func (k *Key) sign(input []byte) ([]byte, error) {
	if k.alg == EdDSA {
		return k.private.Sign(nil, input, crypto.Hash(0))
	}
	digest := sha256.Sum256(input)
	encoded, err := k.private.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(encoded, &parts); err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	parts.R.FillBytes(signature[:32])
	parts.S.FillBytes(signature[32:])
	return signature, nil
}

// Target returns the htu of a request: its URL without query and fragment.
func Target(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + u.Host + path
}
