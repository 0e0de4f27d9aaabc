// Package assertion makes the signed statements that tell applications who a
// request comes from, and publishes the keys that they are signed with.
//
// The keys are for nothing else: they are made of a ring of their own, and statements
// have a type of their own. So no statement is an assertion of the client at a
// provider, or a token of ours, and none of those is a statement. The package knows
// nothing of requests and sessions.
package assertion

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// Type is the typ of statements.
const Type = "oidc-rp+jwt"

// DefaultHeader is the header in which an application receives a statement.
const DefaultHeader = "X-Identity-Assertion"

// How long a statement is valid.
const (
	DefaultLifetime = time.Minute
	MaxLifetime     = 5 * time.Minute
)

// Statement is a statement about a user.
type Statement struct {
	Issuer, Audience, Subject, Kind string
	IssuedAt, Expires               time.Time
	// Claims are additional claims, none of which is Reserved.
	Claims map[string]json.RawMessage
}

// reserved are the claims of statements themselves, and those for which a statement
// could be taken for a provider's token.
var reserved = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "kind", "nonce", "at_hash", "c_hash", "s_hash", "azp", "client_id", "sid", "events", "cnf", "act", "may_act"}

// Reserved reports whether a claim cannot be an additional one.
func Reserved(name string) bool { return slices.Contains(reserved, name) }

// Keys sign statements. They are safe for concurrent use.
type Keys struct {
	source seal.Source
	made   atomic.Pointer[keySet]
}

// NewKeys returns keys derived from rings, which must not be used for anything
// else.
func NewKeys(source seal.Source) *Keys { return &Keys{source: source} }

// keySet is the keys derived from one ring.
type keySet struct {
	serial uint64
	signer jose.Signer
	public jose.JSONWebKeySet
}

// Published returns the public keys of all statements that are valid now or will be
// soon.
func (k *Keys) Published(ctx context.Context) (jose.JSONWebKeySet, error) {
	set, err := k.current(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	return set.public, nil
}

// Sign returns a statement as a compact JWS.
func (k *Keys) Sign(ctx context.Context, s Statement) (string, error) {
	set, err := k.current(ctx)
	if err != nil {
		return "", err
	}
	members := make(map[string]any, len(s.Claims)+8)
	for name, value := range s.Claims {
		members[name] = value
	}
	for name, value := range map[string]any{
		"iss": s.Issuer, "aud": s.Audience, "sub": s.Subject, "kind": s.Kind,
		"iat": s.IssuedAt.Unix(), "exp": s.Expires.Unix(), "jti": rand.Text(),
	} {
		members[name] = value
	}
	payload, err := json.Marshal(members)
	if err != nil {
		return "", fmt.Errorf("write an assertion: %w", err)
	}
	jws, err := set.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign an assertion: %w", err)
	}
	return jws.CompactSerialize()
}

// current returns the keys of the current ring.
func (k *Keys) current(ctx context.Context) (*keySet, error) {
	ring, err := k.source.Ring(ctx)
	if err != nil {
		return nil, err
	}
	if set := k.made.Load(); set != nil && set.serial == ring.Serial() {
		return set, nil
	}
	set, err := newKeySet(ring)
	if err != nil {
		return nil, err
	}
	k.made.Store(set)
	return set, nil
}
