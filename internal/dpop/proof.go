package dpop

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Header is the header of a request that its proof is in.
const Header = "DPoP"

// Request is what a proof says of the request that it is for (RFC 9449 4.2).
type Request struct {
	Method string
	URL    *url.URL
	At     time.Time
	// Nonce is the one that the server wants; empty for none.
	Nonce string
	// AccessToken is the token that the request carries; empty for none.
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
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign the DPoP proof: %w", err)
	}
	proof, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("write the DPoP proof: %w", err)
	}
	return proof, nil
}

// Target returns the address of a request as proofs have it (htu): without query and
// fragment.
func Target(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + u.Host + path
}
