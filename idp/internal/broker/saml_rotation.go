package broker

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/crewjam/saml"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file rotates our keys at a SAML identity provider. The provider learns of
// new keys from our metadata, which many load by hand, or once a day. New keys are
// therefore in the metadata long before they sign, and old ones decrypt long after.
// Until the new keys sign, both are published. After that only the new encryption
// key is published, and assertions for the old one are still accepted.

const (
	// samlOverlap is the default for how long new keys are published before they
	// sign, and old ones are accepted afterwards.
	samlOverlap    = 7 * 24 * time.Hour
	maxSAMLOverlap = 90 * 24 * time.Hour
	// certificateLead is how long before their creation certificates become valid,
	// for slow clocks.
	certificateLead = time.Hour
)

// generations are our current keys at one provider, and those that will replace
// them.
type generations struct {
	first, next  *keySet   // next is nil if there are none
	since        time.Time // the first sign; zero: since they were made
	signs, until time.Time
}

// ourKeys are the keys at some time.
type ourKeys struct {
	keySet                          // for signing and decryption
	alsoSign, alsoEncrypt []keyPair // published as well
	alsoDecrypt           []*rsa.PrivateKey
}

// at returns the keys at a time. A configured decryption key replaces the generated
// ones.
func (g *generations) at(now time.Time, operators *keyPair) *ourKeys {
	keys := &ourKeys{keySet: *g.first}
	switch {
	case g.next == nil:
	case now.Before(g.signs):
		keys.alsoSign, keys.alsoEncrypt = []keyPair{g.next.signing}, []keyPair{g.next.decryption}
		keys.alsoDecrypt = []*rsa.PrivateKey{g.next.decryption.key}
	case now.Before(g.until):
		keys.keySet = *g.next
		keys.alsoSign, keys.alsoDecrypt = []keyPair{g.first.signing}, []*rsa.PrivateKey{g.first.decryption.key}
	default:
		keys.keySet = *g.next
	}
	if operators != nil {
		keys.decryption, keys.alsoEncrypt, keys.alsoDecrypt = *operators, nil, nil
	}
	return keys
}

// began returns when the newest keys began to sign, or will.
func (g *generations) began() time.Time {
	switch {
	case g.next != nil:
		return g.signs
	case !g.since.IsZero():
		return g.since
	}
	return g.first.signing.certificate.NotBefore.Add(certificateLead)
}

// publish adds the keys that are published besides those in use.
func (k *ourKeys) publish(role *saml.SPSSODescriptor) {
	for use, pairs := range map[string][]keyPair{"signing": k.alsoSign, "encryption": k.alsoEncrypt} {
		for _, pair := range pairs {
			at := slices.IndexFunc(role.KeyDescriptors, func(d saml.KeyDescriptor) bool { return d.Use == use })
			if at < 0 {
				continue
			}
			other := role.KeyDescriptors[at]
			other.EncryptionMethods = slices.Clone(other.EncryptionMethods)
			other.KeyInfo.X509Data.X509Certificates = []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(pair.certificate.Raw)}}
			role.KeyDescriptors = slices.Insert(role.KeyDescriptors, at+1, other)
		}
	}
}

// SAMLKey describes one of our keys at a SAML identity provider by its certificate.
type SAMLKey struct {
	Use         string // signing or encryption
	Status      string // published, active or retiring
	Fingerprint string // SHA-256 of the certificate
	Created     time.Time
	// Signs is when a published key will be used, and Until when a retiring one
	// will be removed.
	Signs, Until time.Time
}

// SAMLRotation configures a rotation.
type SAMLRotation struct {
	// After is how long the new keys are published before they sign, and the old
	// ones are accepted after that. Default: seven days.
	After time.Duration
	// Compromised removes the old keys at once.
	Compromised bool
}

// Errors of a rotation.
var (
	ErrNoSAML  = errors.New("there is no external provider of this id that speaks SAML")
	ErrOverlap = fmt.Errorf("the new keys are published for more than nothing, and for %d days at most", maxSAMLOverlap/(24*time.Hour))
)

func (b *Broker) samlKeys(id string) (*samlKeys, error) {
	for _, e := range b.externals {
		if p, ok := e.kind.(*samlProvider); ok && e.ID == id {
			return p.keys, nil
		}
	}
	return nil, ErrNoSAML
}

// SAMLKeys returns our keys at a provider.
func (b *Broker) SAMLKeys(ctx context.Context, id string) ([]SAMLKey, error) {
	keys, err := b.samlKeys(id)
	if err != nil {
		return nil, err
	}
	all, err := keys.all(ctx)
	if err != nil {
		return nil, err
	}
	return all.list(b.Now(), keys.external), nil
}

func (g *generations) list(now time.Time, operators *keyPair) (all []SAMLKey) {
	add := func(set *keySet, key SAMLKey) {
		for _, pair := range []struct {
			use string
			of  keyPair
		}{{"signing", set.signing}, {"encryption", set.decryption}} {
			if pair.use == "encryption" && operators != nil {
				continue
			}
			sum := sha256.Sum256(pair.of.certificate.Raw)
			key.Use, key.Fingerprint, key.Created = pair.use, hex.EncodeToString(sum[:]), pair.of.certificate.NotBefore.Add(certificateLead)
			all = append(all, key)
		}
	}
	switch {
	case g.next == nil:
		add(g.first, SAMLKey{Status: "active"})
	case now.Before(g.signs):
		add(g.first, SAMLKey{Status: "active", Until: g.until})
		add(g.next, SAMLKey{Status: "published", Signs: g.signs})
	case now.Before(g.until):
		add(g.next, SAMLKey{Status: "active"})
		add(g.first, SAMLKey{Status: "retiring", Until: g.until})
	default:
		add(g.next, SAMLKey{Status: "active"})
	}
	if operators != nil {
		sum := sha256.Sum256(operators.certificate.Raw)
		all = append(all, SAMLKey{Use: "encryption", Status: "active", Fingerprint: hex.EncodeToString(sum[:])})
	}
	return all
}

// RotateSAMLKeys generates new keys at a provider. It does nothing while a rotation
// is in progress. Other nodes follow within seconds.
func (b *Broker) RotateSAMLKeys(ctx context.Context, id string, r SAMLRotation) ([]SAMLKey, error) {
	r.After = cmp.Or(r.After, samlOverlap)
	if r.After < 0 || r.After > maxSAMLOverlap {
		return nil, ErrOverlap
	}
	keys, err := b.samlKeys(id)
	if err != nil {
		return nil, err
	}
	if _, err := keys.rotate(ctx, r, 0); err != nil {
		return nil, fmt.Errorf("rotate the keys of external %s: %w", id, err)
	}
	return b.SAMLKeys(ctx, id)
}

// RotateSAMLKeysDue rotates the keys at all providers with rotate_keys for which
// that is due.
func (b *Broker) RotateSAMLKeysDue(ctx context.Context) error {
	var errs []error
	for _, e := range b.externals {
		p, ok := e.kind.(*samlProvider)
		if !ok || e.Disabled || e.SAML.RotateKeys <= 0 {
			continue
		}
		done, err := p.keys.rotate(ctx, SAMLRotation{After: samlOverlap}, e.SAML.RotateKeys)
		if err != nil {
			errs = append(errs, fmt.Errorf("rotate the keys of external %s: %w", e.ID, err))
		}
		if done {
			b.Logger.LogAttrs(ctx, slog.LevelInfo, "new keys at an external provider are published", slog.String("event", "saml_keys_rotated"),
				slog.String("via", "schedule"), slog.String("external", e.ID), slog.Time("signs_from", b.Now().Add(samlOverlap).UTC()))
		}
	}
	return errors.Join(errs...)
}

// RemoveRetiredSAMLKeys removes keys that have been replaced and are no longer in our
// metadata.
func (b *Broker) RemoveRetiredSAMLKeys(ctx context.Context) error {
	var errs []error
	for _, e := range b.externals {
		if p, ok := e.kind.(*samlProvider); ok {
			if err := p.keys.removeRetired(ctx); err != nil {
				errs = append(errs, fmt.Errorf("remove retired keys at external %s: %w", e.ID, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (k *samlKeys) removeRetired(ctx context.Context) error {
	known, err := k.load(ctx)
	if err != nil || known == "" {
		return err
	}
	all, err := k.unseal(ctx, known)
	if err != nil || all.Next == nil || k.b.Now().Before(all.Next.Until) {
		return err
	}
	sealed, err := k.seal(ctx, keptKeys{keptSet: all.Next.keptSet, Since: all.Next.Signs})
	if err != nil {
		return err
	}
	_, err = k.replace(ctx, known, sealed, false)
	return err
}

// rotate adds new keys, unless a rotation is in progress or not due yet. With
// every, it is due when the keys will have signed for that long.
func (k *samlKeys) rotate(ctx context.Context, r SAMLRotation, every time.Duration) (done bool, err error) {
	all, err := k.all(ctx)
	if err != nil || !r.Compromised && !all.mayRotate(k.b.Now(), r.After, every) {
		return false, err
	}
	fresh, err := k.newSet()
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	known := k.kept
	k.mu.Unlock()
	before, err := k.unseal(ctx, known)
	if err != nil {
		return false, err
	}
	sealed, err := k.seal(ctx, before.succeed(fresh, r, k.b.Now()))
	if err != nil {
		return false, err
	}
	return k.replace(ctx, known, sealed, r.Compromised)
}

// replace keeps other keys in the place of those that are known; whatever keys there
// are, it always does. It reports whether it has.
func (k *samlKeys) replace(ctx context.Context, known, sealed string, always bool) (done bool, err error) {
	err = k.b.Store.Update(ctx, func(tx store.Tx) error {
		kept, err := tx.Setting(k.setting())
		done = err == nil && (kept == known || always)
		if !done {
			return err // another node was faster
		}
		return tx.SetSetting(k.setting(), sealed)
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read = time.Time{}
	return done && err == nil, err
}

// mayRotate reports whether no rotation is in progress and, with every, one is due.
func (g *generations) mayRotate(now time.Time, after, every time.Duration) bool {
	if g.next != nil && now.Before(g.until) {
		return false
	}
	return every == 0 || !now.Before(g.began().Add(every-after))
}

// succeed returns the stored keys after adding new ones.
func (k keptKeys) succeed(fresh keptSet, r SAMLRotation, now time.Time) keptKeys {
	if r.Compromised {
		return keptKeys{keptSet: fresh}
	}
	now = now.UTC().Truncate(time.Second)
	last := k.keptSet
	if k.Next != nil {
		last = k.Next.keptSet // its rotation has ended
	}
	return keptKeys{keptSet: last, Next: &keptNext{keptSet: fresh, Signs: now.Add(r.After), Until: now.Add(2 * r.After)}}
}
