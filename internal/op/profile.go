package op

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Profile is a profile of FAPI 2.0 that a client conforms to; empty for none.
// Package opconfig checks the configuration; this file checks what depends on the
// provider's metadata.
type Profile string

// The profiles.
const (
	FAPI2               Profile = "fapi2"                 // FAPI 2.0 Security Profile
	FAPI2MessageSigning Profile = "fapi2_message_signing" // FAPI 2.0 Message Signing, which is based on it
)

// ProfileAlgs are the signature algorithms of FAPI 2.0 (Security Profile, section
// 5.4.1). Ed25519 is the name of RFC 9864 for EdDSA with such a key.
var ProfileAlgs = []string{"PS256", "ES256", "EdDSA", "Ed25519"}

// ProfileError means that metadata has nothing that the profile allows.
type ProfileError struct {
	Profile Profile
	Message string
	Clause  string
}

func (e *ProfileError) Error() string {
	return fmt.Sprintf("profile %s: %s (%s)", e.Profile, e.Message, e.Clause)
}

// Titles of the specifications in errors.
const (
	securityProfile = "FAPI 2.0 Security Profile "
	messageSigning  = "FAPI 2.0 Message Signing "
)

func (p Profile) errorf(clause, format string, args ...any) error {
	return &ProfileError{p, fmt.Sprintf(format, args...), clause}
}

// apply restricts metadata to the profile: requests are pushed, responses carry
// iss, and only algorithms of the profile remain. It returns an error if nothing
// usable is left.
func (p Profile) apply(m *Metadata) error {
	if p == "" {
		return nil
	}
	if m.Endpoints.Pushed == "" {
		return p.errorf(securityProfile+"5.3.3.2", "the metadata has no pushed_authorization_request_endpoint, and authorization requests must be pushed")
	}
	m.Pushed, m.IssParameter = true, true
	for _, list := range []struct {
		member, clause string
		algs           *[]string
		needed         bool
	}{
		{"id_token_signing_alg_values_supported", securityProfile + "5.4.1", &m.IDTokenAlgs, true},
		{"userinfo_signing_alg_values_supported", "", &m.UserinfoAlgs, false},        // it need not be signed
		{"token_endpoint_auth_signing_alg_values_supported", "", &m.AuthAlgs, false}, // see CheckProfile
		{"request_object_signing_alg_values_supported", messageSigning + "5.3.2", &m.Requests.Algs, p == FAPI2MessageSigning},
		{"authorization_signing_alg_values_supported", messageSigning + "5.4.2", &m.Responses.Algs, p == FAPI2MessageSigning},
	} {
		said := *list.algs
		*list.algs = profileAlgsOf(said)
		switch {
		case len(*list.algs) > 0:
		case list.needed:
			return p.errorf(list.clause, "%s of the metadata has none of %s: it has %s", list.member, strings.Join(ProfileAlgs, ", "), clip(strings.Join(said, ", ")))
		case list.algs != &m.AuthAlgs:
			*list.algs = ProfileAlgs
		}
	}
	if modes := m.Responses.Modes; p == FAPI2MessageSigning && modes != nil && !slices.Contains(modes, "jwt") && !slices.Contains(modes, "query.jwt") {
		return p.errorf(messageSigning+"5.4.2", "response_modes_supported of the metadata has no jwt: it has %s", clip(strings.Join(modes, ", ")))
	}
	return nil
}

// profileAlgsOf returns the algorithms of a list that the profile allows. A missing
// list excludes none.
func profileAlgsOf(said []string) []string {
	if len(said) == 0 {
		return ProfileAlgs
	}
	return slices.DeleteFunc(slices.Clone(said), func(alg string) bool { return !slices.Contains(ProfileAlgs, alg) })
}

// CheckProfile checks that the provider accepts an algorithm of the client's
// signatures.
func (c *Client) CheckProfile(m *Metadata) error {
	p := c.Profile()
	if p == "" || c.AuthMethod != "private_key_jwt" {
		return nil
	}
	keys := c.ownKeys().Signing
	if len(keys) == 0 {
		return nil // without keys, signing reports the error
	}
	alg := string(keys[0].alg)
	if slices.ContainsFunc(m.AuthAlgs, func(taken string) bool { return taken == alg || isEd25519(taken) && isEd25519(alg) }) {
		return nil
	}
	return &SettingsError{p.errorf(securityProfile+"5.4.1", "the first key of client_auth private_key_jwt signs with %s, and the provider takes %s for client assertions",
		alg, cmp.Or(clip(strings.Join(m.AuthAlgs, ", ")), "none of "+strings.Join(ProfileAlgs, ", ")))}
}

// Profile returns the profile that the client conforms to; empty for none.
func (c *Client) Profile() Profile { return c.Discovery.config.Profile }

// KeepTo restricts a key to the profile: an RSA key without an alg signs with
// PS256. It returns an error for a key of another algorithm.
func (k *ClientKey) KeepTo(p Profile) error {
	if p == "" {
		return nil
	}
	if k.jwk.Algorithm == "" && k.alg == jose.RS256 {
		k.alg, k.jwk.Algorithm = jose.PS256, string(jose.PS256)
	}
	if !slices.Contains(ProfileAlgs, string(k.alg)) {
		return errors.New("signs with " + string(k.alg) + ", and profile " + string(p) + " wants PS256, ES256 or EdDSA (FAPI 2.0 Security Profile 5.4.1); make a key of RSA, P-256 or Ed25519")
	}
	return nil
}
