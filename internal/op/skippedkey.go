package op

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// SkippedKey is a key of a provider's key set that is not used to verify
// signatures, and the reason.
type SkippedKey struct {
	KID, Reason string
	// Ordinary reports that the key has another purpose, and nothing is wrong with
	// it.
	Ordinary bool
}

// skippedKeys are the skipped keys of a set, and how often they changed.
type skippedKeys struct {
	keys    []SkippedKey
	changes uint64
}

func (s *skippedKeys) note(keys []SkippedKey) {
	if !slices.Equal(s.keys, keys) {
		s.keys = keys
		s.changes++
	}
}

// SkippedKeys returns the provider's keys that are not used, and a number that
// changes with them. It is zero if there never were any.
func (r *Discovery) SkippedKeys() ([]SkippedKey, uint64) {
	r.keys.mu.Lock()
	defer r.keys.mu.Unlock()
	return r.keys.skipped.keys, r.keys.skipped.changes
}

// whySkipped returns why the key with an id was skipped, if it was.
func (s *KeySet) whySkipped(kid string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	kid = logtext.Clean(kid, logtext.MaxName)
	if i := slices.IndexFunc(s.skipped.keys, func(key SkippedKey) bool { return key.KID == kid && kid != "" }); i >= 0 {
		return ": that key is not used, because " + s.skipped.keys[i].Reason
	}
	return ""
}

// reasons describes why the first few keys were skipped.
func reasons(skipped []SkippedKey) string {
	var b strings.Builder
	for i, key := range skipped[:min(len(skipped), 3)] {
		b.WriteString([]string{": ", "; ", "; "}[i])
		fmt.Fprintf(&b, "%q: %s", clip(key.KID), key.Reason)
	}
	return b.String()
}

// publicMembers are the members of public keys (RFC 7518, section 6; RFC 8037,
// section 2). Certificates and their thumbprints are ignored, and so are flaws in
// them.
var publicMembers = []string{"kty", "kid", "alg", "crv", "x", "y", "n", "e"}

// parseKey parses a key of a key set, or returns why it is skipped.
func parseKey(raw json.RawMessage) (key jose.JSONWebKey, skip *SkippedKey) {
	skip = new(SkippedKey)
	o, err := parseObject(raw)
	if err != nil {
		skip.Reason = "it " + err.Error()
		return key, skip
	}
	kid, err := o.text("kid")
	skip.KID = logtext.Clean(kid, logtext.MaxName)
	if err == nil {
		skip.Ordinary, err = o.checkPurpose()
	}
	if err == nil {
		if err = o.checkKind(); err != nil {
			skip.Ordinary = true
		}
	}
	if err == nil {
		key, err = publicKey(o)
	}
	if err == nil && !usable(key) {
		skip.Ordinary = true
		err = fmt.Errorf("it verifies no signature here (kty %s, crv %s, alg %s; RSA needs %d bits)", shown(o["kty"]), shown(o["crv"]), shown(o["alg"]), minRSA)
	}
	if err != nil {
		skip.Reason = err.Error()
		return key, skip
	}
	return key, nil
}

// checkPurpose returns an error for keys that are not for verifying signatures (RFC
// 7517, sections 4.2 and 4.3), and for private ones.
func (o object) checkPurpose() (ordinary bool, err error) {
	use, err := o.text("use")
	switch {
	case err != nil:
		return false, err
	case use != "" && use != "sig":
		return use == "enc", fmt.Errorf("use is %q, not sig", clip(use))
	}
	if ops, err := o.texts("key_ops", false); err != nil {
		return false, err
	} else if ops != nil && !slices.Contains(ops, "verify") {
		return true, fmt.Errorf("key_ops is %q, without verify", clip(strings.Join(ops, " ")))
	}
	for _, private := range []string{"d", "p", "q", "k"} {
		if _, there := o[private]; there {
			return false, errors.New("it is a private or symmetric key")
		}
	}
	return false, nil
}

// checkKind returns an error for keys of an unknown type or curve.
func (o object) checkKind() error {
	curves := map[string][]string{"RSA": nil, "EC": {"P-256", "P-384", "P-521"}, "OKP": {"Ed25519"}}
	kty, _ := o.text("kty")
	crv, _ := o.text("crv")
	known, ok := curves[kty]
	switch {
	case !ok:
		return fmt.Errorf("kty is %s, which is not known here", shown(o["kty"]))
	case known != nil && !slices.Contains(known, crv):
		return fmt.Errorf("crv is %s, which is not known here", shown(o["crv"]))
	}
	return nil
}

// publicKey parses a key from publicMembers only.
func publicKey(o object) (key jose.JSONWebKey, err error) {
	members := make(map[string]json.RawMessage, len(publicMembers))
	for _, name := range publicMembers {
		if !o.has(name) {
			continue
		}
		text, err := o.text(name)
		if err != nil {
			return key, err
		}
		if len(name) == 1 && strings.ContainsAny(text, "=+/") {
			return key, fmt.Errorf("%s is not base64url without padding", name)
		}
		members[name] = o[name]
	}
	text, err := json.Marshal(members)
	if err != nil {
		return key, err
	}
	if err := key.UnmarshalJSON(text); err != nil {
		return key, fmt.Errorf("it cannot be read: %s", logtext.Clean(err.Error(), logtext.MaxName))
	}
	if !key.Valid() || !key.IsPublic() {
		return key, errors.New("it is damaged, or not a public key")
	}
	key.Use, _ = o.text("use")
	return key, nil
}

// shown returns a member in a short and sanitized form.
func shown(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "absent"
	}
	return clip(string(raw))
}
