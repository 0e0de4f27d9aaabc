package op

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysAge is the longest time for which a withdrawn key is still accepted.
	keysAge = 15 * time.Minute
	maxKeys = 200
	// Fetches because of an unknown key: a burst of three, then one every ten seconds.
	// Keys are rotated rarely, but anyone can send tokens with unknown ones.
	looks     = 3
	lookEvery = 10 * time.Second
	minRSA    = 2048 // bits; RFC 7518, section 3.3
)

// KeySet has a provider's public keys (RFC 7517). Unlike go-oidc's, it skips keys
// that it cannot use instead of refusing all, uses no key against its declared
// purpose, and limits how often anyone can make it fetch keys. It is safe for
// concurrent use.
type KeySet struct {
	fetch         func(context.Context) ([]byte, error) // nil if the keys are configured
	given         func() []jose.JSONWebKey              // configured keys that can change
	givenDocument func() []byte                         // the document with these keys; may be nil
	now           func() time.Time
	flight        singleflight.Group

	mu   sync.Mutex
	keys []jose.JSONWebKey
	// document is what keys were parsed from; see encryption.
	document []byte
	skipped  skippedKeys
	fetched  time.Time
	tried    time.Time
	err      error
	next     time.Time // after a failure, no attempt before
	history  history
	noted    func(error) // called with the result of each fetch; may be nil
	spent    int         // fetches because of unknown keys
	since    time.Time   // when spent was last updated
	loaded   bool        // whether another process fetched the keys

	shelf   *shelf        // may be nil
	address func() string // URL of the keys
}

func newKeySet(fetch func(context.Context) ([]byte, error), now func() time.Time) *KeySet {
	return &KeySet{fetch: fetch, now: now}
}

// newStaticKeySet returns a KeySet for a document that was checked before.
func newStaticKeySet(document []byte) *KeySet {
	keys, skipped, err := parseKeys(document)
	s := &KeySet{keys: keys, document: document, err: err}
	s.skipped.note(skipped)
	return s
}

// ParseKeys parses a key set document. It skips private, encryption, weak, unknown
// and damaged keys. It fails if the document is not a key set, or no key is left.
func ParseKeys(document []byte) ([]jose.JSONWebKey, error) {
	keys, _, err := parseKeys(document)
	return keys, err
}

func parseKeys(document []byte) (keys []jose.JSONWebKey, skipped []SkippedKey, err error) {
	o, err := parseObject(document)
	if err != nil {
		return nil, nil, fmt.Errorf("the key set %w", err)
	}
	var members []json.RawMessage
	if json.Unmarshal(o["keys"], &members) != nil {
		return nil, nil, errors.New("the key set has no list of keys")
	}
	for _, member := range members[:min(len(members), maxKeys)] {
		if key, skip := parseKey(member); skip != nil {
			skipped = append(skipped, *skip)
		} else {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, skipped, fmt.Errorf("none of the %d keys in the key set can be used%s", len(members), reasons(skipped))
	}
	return keys, skipped, nil
}

func usable(key jose.JSONWebKey) bool {
	for _, alg := range asymmetric {
		if fits(key, alg) {
			return true
		}
	}
	return false
}

// fits reports whether a key may verify signatures of an algorithm, by its type and
// curve (RFC 7518, section 3.1; RFC 8037), and by its alg, if present (RFC 7517,
// section 4.4).
func fits(key jose.JSONWebKey, alg string) bool {
	if key.Algorithm != "" && key.Algorithm != alg && !(isEd25519(key.Algorithm) && isEd25519(alg)) {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return (strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")) && k.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return alg == "ES256" && k.Curve == elliptic.P256() ||
			alg == "ES384" && k.Curve == elliptic.P384() ||
			alg == "ES512" && k.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return isEd25519(alg)
	}
	return false
}

// errNotLooked means that no key fits, and that newer ones were not fetched because
// of the limit. As anyone can use up the limit, the token may still be valid.
var errNotLooked = errors.New("no key of the provider fits, and new ones were looked for a moment ago")

// verify verifies a signature with the keys that fit it. If none does, it fetches
// the keys again.
func (s *KeySet) verify(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	keys, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if payload, ok := tryKeys(keys, jws); ok {
		return payload, nil
	}
	unseen := s.pausing() // why newer keys cannot be fetched now
	switch {
	case s.fetch == nil || unseen != nil:
	case !s.mayLook():
		unseen = errNotLooked
	default:
		newer, err := s.refresh(ctx)
		if err == nil {
			keys = newer
			if payload, ok := tryKeys(keys, jws); ok {
				return payload, nil
			}
		}
		unseen = err
	}
	header := jws.Signatures[0].Header
	if len(candidates(keys, header)) == 0 {
		if unseen != nil {
			return nil, unseen
		}
		return nil, fmt.Errorf("no key of the provider fits (alg %s, kid %q)%s", header.Algorithm, clip(header.KeyID), s.whySkipped(header.KeyID))
	}
	return nil, errors.New("the signature is wrong")
}

func tryKeys(keys []jose.JSONWebKey, jws *jose.JSONWebSignature) ([]byte, bool) {
	header := jws.Signatures[0].Header
	for _, key := range candidates(keys, header) {
		if payload, err := jws.Verify(verifierOf(key, header.Algorithm)); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// candidates returns the keys that a header selects: by kid if it has one, else all
// that fit. Keys in the header itself (jwk, jku, x5c) are ignored (RFC 8725,
// section 3.10).
func candidates(keys []jose.JSONWebKey, header jose.Header) (found []jose.JSONWebKey) {
	for _, key := range keys {
		if (header.KeyID == "" || key.KeyID == header.KeyID) && fits(key, header.Algorithm) {
			found = append(found, key)
		}
	}
	return found
}

// current returns the keys, and fetches them again if they are old. Old keys remain
// in use if the provider does not respond.
func (s *KeySet) current(ctx context.Context) ([]jose.JSONWebKey, error) {
	if s.given != nil {
		return s.given(), nil
	}
	s.mu.Lock()
	keys, err, fresh := s.keys, s.err, s.fetch == nil
	if !fresh {
		now := s.now()
		fresh = keys != nil && !s.loaded && now.Sub(s.fetched) < keysAge
		if !fresh && s.err != nil && isPausing(now, s.next) {
			fresh = true // the provider did not respond a moment ago
		}
		if err != nil {
			err = &UnavailableError{err, max(firstPause, s.next.Sub(now))}
		}
	} else if err != nil {
		err = &UnavailableError{err, firstPause}
	}
	s.mu.Unlock()
	switch {
	case fresh && keys != nil && (s.fetch == nil || err == nil):
		return keys, nil
	case fresh:
		return s.lastGood(err)
	}
	newer, err := s.refresh(ctx)
	if err != nil {
		return s.lastGood(err)
	}
	return newer, nil
}

// lastGood returns the keys that were fetched last, for a day, while the provider
// does not respond.
func (s *KeySet) lastGood(err error) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	keys, fetched, loaded := s.keys, s.fetched, s.loaded
	s.mu.Unlock()
	if keys == nil || s.now().Sub(fetched) >= keepFor {
		return nil, err
	}
	if s.shelf != nil {
		s.shelf.stale(fetched, err, loaded)
	}
	return keys, nil
}

// first returns the first of the current keys; nil if there are none. Its identity
// changes whenever keys are fetched or read again.
func (s *KeySet) first() *jose.JSONWebKey {
	var keys []jose.JSONWebKey
	if s.given != nil {
		keys = s.given()
	} else {
		s.mu.Lock()
		keys = s.keys
		s.mu.Unlock()
	}
	if len(keys) == 0 {
		return nil
	}
	return &keys[0]
}

// load returns the stored keys, if they are from the current URL of the keys.
func (s *KeySet) load() (keys []jose.JSONWebKey, document []byte, from time.Time) {
	if s.shelf == nil {
		return nil, nil, time.Time{}
	}
	k := s.shelf.load()
	if k == nil || k.From != s.address() {
		return nil, nil, time.Time{}
	}
	keys, err := ParseKeys(k.Document)
	if err != nil {
		return nil, nil, time.Time{}
	}
	return keys, k.Document, k.time()
}

// pausing returns why keys are not fetched now: the provider did not respond a
// moment ago, or asked to wait. It returns nil if they may be fetched.
func (s *KeySet) pausing() error {
	if s.fetch == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.err != nil && isPausing(now, s.next) {
		return &UnavailableError{s.err, s.next.Sub(now)}
	}
	return nil
}

// mayLook reports whether keys may be fetched because of an unknown key, and counts
// it.
func (s *KeySet) mayLook() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if regained := int(now.Sub(s.since) / lookEvery); regained > 0 {
		s.spent = max(0, s.spent-regained)
		s.since = now
	}
	if s.spent >= looks {
		return false
	}
	s.spent++
	return true
}

// refresh fetches the keys. Concurrent callers share one request.
func (s *KeySet) refresh(ctx context.Context) ([]jose.JSONWebKey, error) {
	answer := s.flight.DoChan("keys", func() (any, error) {
		document, err := s.fetch(context.WithoutCancel(ctx))
		var keys []jose.JSONWebKey
		var skipped []SkippedKey
		if err == nil {
			keys, skipped, err = parseKeys(document)
		}
		var old []jose.JSONWebKey
		var oldDocument []byte
		var oldFrom time.Time
		if err != nil {
			old, oldDocument, oldFrom = s.load()
		} else if s.shelf != nil {
			s.shelf.save(&kept{Fetched: s.now().Unix(), Document: document, From: s.address()})
		}
		if s.noted != nil {
			s.noted(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tried, s.err = s.now(), err
		s.history.note(s.tried, err)
		if err != nil {
			pause := max(firstPause, pauseFor(err))
			s.next = s.tried.Add(pause)
			if old != nil && (s.keys == nil || oldFrom.After(s.fetched)) { // another node may have fetched newer ones
				s.keys, s.document, s.fetched, s.loaded = old, oldDocument, oldFrom, true
			}
			return nil, &UnavailableError{err, pause}
		}
		s.keys, s.document, s.fetched, s.loaded = keys, document, s.tried, false
		s.skipped.note(skipped)
		if s.shelf != nil {
			s.shelf.live()
		}
		return keys, nil
	})
	select {
	case <-ctx.Done():
		return nil, &UnavailableError{context.Cause(ctx), firstPause}
	case result := <-answer:
		keys, _ := result.Val.([]jose.JSONWebKey)
		return keys, result.Err
	}
}
