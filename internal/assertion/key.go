package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"math/big"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// This file derives keys from the secrets of a ring. All nodes that share the ring
// have the same keys, and rotate them together.

// seedPurpose is the purpose of the seeds.
const seedPurpose = "assertion ES256"

// seedSize is longer than a key, in bytes, so that keys are uniformly distributed
// (FIPS 186-5, A.2.1).
const seedSize = 48

// newKeySet derives the keys of a ring. The first one signs.
func newKeySet(ring *seal.Ring) (*keySet, error) {
	seeds, err := ring.Seeds(seedPurpose, seedSize)
	if err != nil {
		return nil, fmt.Errorf("make the keys of assertions: %w", err)
	}
	set := &keySet{serial: ring.Serial()}
	for i, seed := range seeds {
		private, err := keyOf(seed)
		if err != nil {
			return nil, fmt.Errorf("make the keys of assertions: %w", err)
		}
		public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(jose.ES256), Use: "sig"}
		thumbprint, err := public.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("name a key of assertions: %w", err)
		}
		public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
		set.public.Keys = append(set.public.Keys, public)
		if i > 0 {
			continue
		}
		key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: public.KeyID}}
		if set.signer, err = jose.NewSigner(key, (&jose.SignerOptions{}).WithType(Type)); err != nil {
			return nil, fmt.Errorf("use a key of assertions: %w", err)
		}
	}
	return set, nil
}

// keyOf derives a key from a seed: a number from 1 to the order of the curve.
func keyOf(seed []byte) (*ecdsa.PrivateKey, error) {
	curve := elliptic.P256()
	most := new(big.Int).Sub(curve.Params().N, big.NewInt(1))
	d := new(big.Int).Mod(new(big.Int).SetBytes(seed), most)
	d.Add(d, big.NewInt(1))
	return ecdsa.ParseRawPrivateKey(curve, d.FillBytes(make([]byte, 32)))
}
