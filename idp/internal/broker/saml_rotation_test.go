package broker

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml/xmlenc"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// published returns the certificates in our metadata by use.
func (s *site) published(p *samlIDP) map[string][]*x509.Certificate {
	s.t.Helper()
	descriptor, err := p.GetServiceProvider(nil, s.broker.SAMLEntityID("partners"))
	if err != nil {
		s.t.Fatal(err)
	}
	all := make(map[string][]*x509.Certificate)
	for _, key := range descriptor.SPSSODescriptors[0].KeyDescriptors {
		certificate, err := parseCertificate(key.KeyInfo.X509Data.X509Certificates[0].Data)
		if err != nil {
			s.t.Fatal(err)
		}
		all[key.Use] = append(all[key.Use], certificate)
	}
	return all
}

// signer returns the certificate that verifies a request sent by the redirect binding
// (Bindings 3.4.4.1), or nil.
func signer(t *testing.T, address string, among []*x509.Certificate) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	signed, _, found := strings.Cut(u.RawQuery, "&Signature=")
	signature, err := base64.StdEncoding.DecodeString(u.Query().Get("Signature"))
	if err != nil || !found {
		t.Fatalf("expected a signature, seen %s", address)
	}
	sum := sha256.Sum256([]byte(signed))
	for _, certificate := range among {
		if rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature) == nil {
			return certificate
		}
	}
	return nil
}

// A provider that loads the metadata again within a week of a change can verify all
// requests, and we can decrypt all its assertions.
func TestSAMLKeysRotateWithOverlap(t *testing.T) {
	t.Parallel()
	for name, phase := range map[string]struct {
		ago                  time.Duration // the age of the rotation
		signing, encryption  int           // the number of certificates in the metadata
		oldSigns, oldAccepts bool
	}{
		"at once":                {0, 2, 2, true, true},
		"when the new ones sign": {samlOverlap + time.Minute, 2, 1, false, true},
		"when it is over":        {2*samlOverlap + time.Minute, 1, 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSAMLIDP(t)
			s := samlSite(t, p, nil)
			other := s.node([]Config{*s.broker.external("partners").Config})
			if _, err := other.SAMLKeys(t.Context(), "partners"); err != nil { // caches the old keys
				t.Fatal(err)
			}
			before := s.published(p)
			s.now = func() time.Time { return time.Now().Add(-phase.ago) }
			if _, err := s.broker.RotateSAMLKeys(t.Context(), "partners", SAMLRotation{}); err != nil {
				t.Fatal(err)
			}
			s.now = func() time.Time { return time.Now().Add(samlKeysRefresh) }
			after := s.published(p)
			if len(after["signing"]) != phase.signing || len(after["encryption"]) != phase.encryption {
				t.Errorf("expected %d and %d certificates in the metadata, seen %d and %d", phase.signing, phase.encryption, len(after["signing"]), len(after["encryption"]))
			}
			s.broker = other // has the old keys in its cache
			if old := signer(t, s.leave(), after["signing"]).Equal(before["signing"][0]); old != phase.oldSigns {
				t.Errorf("expected that the old key signs: %v, seen %v", phase.oldSigns, old)
			}
			for _, certificate := range after["encryption"] {
				p.encryptFor = certificate
				if s.signInWith(p, samlLie{encrypt: xmlenc.AES256GCM}); s.signIn.lastAnswer() == nil {
					t.Errorf("expected a user by each key that is published, seen %s", s.signIn.lastCause())
				}
				s.signIn.reset()
			}
			p.encryptFor = before["encryption"][0]
			s.signInWith(p, samlLie{encrypt: xmlenc.AES256GCM, sign: SignResponse})
			if accepted := s.signIn.lastAnswer() != nil; accepted != phase.oldAccepts {
				t.Errorf("expected what is encrypted for the old key to be accepted: %v, seen %v: %s", phase.oldAccepts, accepted, s.signIn.lastCause())
			}
		})
	}
}

// Compromised keys are replaced immediately, including those of a rotation in progress.
func TestCompromisedSAMLKeysAreGoneAtOnce(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	if _, err := s.broker.RotateSAMLKeys(t.Context(), "partners", SAMLRotation{}); err != nil {
		t.Fatal(err)
	}
	before := s.published(p)
	again, err := s.broker.RotateSAMLKeys(t.Context(), "partners", SAMLRotation{After: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if now := s.published(p); !reflect.DeepEqual(now, before) || len(again) != 4 {
		t.Errorf("expected that a rotation on its way is not begun again, seen %d keys", len(again))
	}
	fresh, err := s.broker.RotateSAMLKeys(t.Context(), "partners", SAMLRotation{Compromised: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh) != 2 || fresh[0].Status != "active" {
		t.Errorf("expected two new keys, seen %+v", fresh)
	}
	after := s.published(p)
	for use, certificates := range after {
		for _, old := range before[use] {
			if len(certificates) != 1 || certificates[0].Equal(old) {
				t.Errorf("expected a new key alone for %s, seen an old one", use)
			}
		}
	}
	p.encryptFor = before["encryption"][1]
	if s.signInWith(p, samlLie{encrypt: xmlenc.AES256GCM}); s.signIn.lastAnswer() != nil {
		t.Error("expected that what is encrypted for an old key is refused, seen a user")
	}
}

// Keys rotate by schedule only if the option rotate_keys is set.
func TestSAMLKeysRotateBySchedule(t *testing.T) {
	t.Parallel()
	const every = 365 * 24 * time.Hour
	p := newSAMLIDP(t)
	for name, row := range map[string]struct {
		every time.Duration
		age   time.Duration
		want  int
	}{
		"not without the option":   {0, 10 * every, 2},
		"not before it is time":    {every, every - samlOverlap - time.Hour, 2},
		"a week before it is time": {every, every - samlOverlap, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := samlSite(t, p, func(c *Config) { c.SAML.RotateKeys = row.every })
			s.now = func() time.Time { return time.Now().Add(row.age) } // haveKeys made them an hour ago
			for range 2 {
				if err := s.broker.RotateSAMLKeysDue(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := s.broker.SAMLKeys(t.Context(), "partners")
			if err != nil {
				t.Fatal(err)
			}
			if len(keys) != row.want {
				t.Errorf("expected %d keys, seen %+v", row.want, keys)
			}
		})
	}
}

// Retired keys are removed from the database once they have left the metadata, and not
// before. Removing them does not change when the next rotation is due.
func TestRetiredSAMLKeysAreRemoved(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	keys := s.broker.external("partners").kind.(*samlProvider).keys
	remove := func() (all keptKeys) {
		t.Helper()
		if err := s.broker.RemoveRetiredSAMLKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		kept, err := keys.load(t.Context())
		if err == nil {
			all, err = keys.unseal(t.Context(), kept)
		}
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	began := func() time.Time {
		t.Helper()
		all, err := keys.all(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all.began()
	}
	made := remove()
	if _, err := s.broker.RotateSAMLKeys(t.Context(), "partners", SAMLRotation{}); err != nil {
		t.Fatal(err)
	}
	rotated, signs := remove(), began()
	if !reflect.DeepEqual(rotated.keptSet, made.keptSet) || rotated.Next == nil {
		t.Fatal("expected both pairs while the rotation is on its way, seen that one is gone")
	}
	over := rotated.Next.Until
	s.now = func() time.Time { return over.Add(-time.Second) }
	if seen := remove(); !reflect.DeepEqual(seen, rotated) {
		t.Error("expected both pairs to the last second, seen others")
	}
	s.now = func() time.Time { return over }
	if seen := remove(); !reflect.DeepEqual(seen.keptSet, rotated.Next.keptSet) || seen.Next != nil {
		t.Error("expected the new keys alone, seen others")
	}
	s.now = func() time.Time { return over.Add(samlKeysRefresh) }
	if seen := began(); !seen.Equal(signs) {
		t.Errorf("expected keys that began to sign at %v, seen %v", signs, seen)
	}
	if seen := len(s.published(p)["signing"]); seen != 1 {
		t.Errorf("expected one key in the metadata, seen %d", seen)
	}
}

// Removing retired keys of a provider without keys creates none.
func TestNoSAMLKeysAreMadeToBeRemoved(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := newSite(t, func(string) []Config {
		return []Config{{ID: "partners", SAML: &SAMLConfig{Metadata: p.server.URL + "/metadata"}}}
	})
	if err := s.broker.RemoveRetiredSAMLKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := s.broker.external("partners").kind.(*samlProvider).keys.load(t.Context())
	if err != nil || kept != "" {
		t.Errorf("expected no keys, seen some, %v", err)
	}
}

// If two nodes rotate at the same time, only one of them succeeds.
func TestNodesRotateSAMLKeysOnce(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	other := s.node([]Config{*s.broker.external("partners").Config})
	done := make(chan bool, 2)
	for _, b := range []*Broker{s.broker, other} {
		go func() {
			won, err := b.external("partners").kind.(*samlProvider).keys.rotate(t.Context(), SAMLRotation{After: time.Hour}, 0)
			if err != nil {
				t.Error(err)
			}
			done <- won
		}()
	}
	if one, two := <-done, <-done; one == two {
		t.Errorf("expected that one of two wins, seen %v and %v", one, two)
	}
	one, err := s.broker.SAMLKeys(t.Context(), "partners")
	if err != nil {
		t.Fatal(err)
	}
	two, err := other.SAMLKeys(t.Context(), "partners")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one, two) {
		t.Errorf("expected the same keys on both nodes, seen %+v and %+v", one, two)
	}
}

// When a second rotation begins after the first, the keys of the first become the old ones.
func TestASecondRotationFollowsTheFirst(t *testing.T) {
	t.Parallel()
	pair := func(name string) keptSet { return keptSet{Signing: keptPair{Key: []byte(name)}} }
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	kept := keptKeys{keptSet: pair("first")}.succeed(pair("second"), SAMLRotation{After: time.Hour}, now)
	kept = kept.succeed(pair("third"), SAMLRotation{After: time.Hour}, now.Add(3*time.Hour))
	if first, next := string(kept.Signing.Key), string(kept.Next.Signing.Key); first != "second" || next != "third" {
		t.Errorf("expected second and third, seen %s and %s", first, next)
	}
	if want := now.Add(4 * time.Hour); !kept.Next.Signs.Equal(want) {
		t.Errorf("expected the third to sign at %v, seen %v", want, kept.Next.Signs)
	}
}

func TestSAMLRotationsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	for name, row := range map[string]struct {
		id   string
		r    SAMLRotation
		want error
	}{
		"an external provider that there is not": {"others", SAMLRotation{}, ErrNoSAML},
		"a time in the past":                     {"partners", SAMLRotation{After: -time.Hour}, ErrOverlap},
		"a time too far away":                    {"partners", SAMLRotation{After: maxSAMLOverlap + 1}, ErrOverlap},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.broker.RotateSAMLKeys(t.Context(), row.id, row.r); !errors.Is(err, row.want) {
				t.Errorf("expected %v, seen %v", row.want, err)
			}
		})
	}
	s.store.down = true
	s.now = func() time.Time { return time.Now().Add(samlKeysRefresh) }
	if _, err := s.broker.RotateSAMLKeys(t.Context(), "partners", SAMLRotation{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("expected a database that is down, seen %v", err)
	}
}
