package factors

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// newPasskeys returns nil if the issuer's host is an IP address, to which no
// passkey can be bound.
func newPasskeys(o Options) (*Passkeys, error) {
	host := strings.ToLower(o.Issuer.Hostname())
	if net.ParseIP(host) != nil {
		return nil, nil
	}
	id := o.PasskeyRPID
	if id == "" {
		id = host
	}
	if id != host && !strings.HasSuffix(host, "."+id) {
		return nil, fmt.Errorf("passkey_rp_id: %s is neither the issuer's host nor a parent domain of it", id)
	}
	timeout := webauthn.TimeoutConfig{Enforce: true, Timeout: PasskeyTimeout, TimeoutUVD: PasskeyTimeout}
	origin := originOf(o.Issuer)
	party, err := webauthn.New(&webauthn.Config{
		RPID:                  id,
		RPDisplayName:         o.Name,
		RPOrigins:             []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(),
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// No decision depends on what browsers add.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return &Passkeys{party: party, origin: origin, now: o.Now}, nil
}

// originOf returns the origin of an address as browsers write it, RFC 6454 6.2.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch {
	case u.Scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	case u.Scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

// settingRPID holds the relying party that passkeys are bound to.
const settingRPID = "passkey_rp_id"

// CheckRPID returns an error if passkeys exist that are bound to another host than
// the issuer has now: they would be lost to their users without a word. With
// accept, the host of now counts from now on.
func (s *Set) CheckRPID(tx Tx, accept bool) error {
	now := ""
	if s.Passkeys != nil {
		now = s.Passkeys.party.Config.RPID
	}
	before, err := tx.Setting(settingRPID)
	if err != nil || before == now {
		return err
	}
	count, err := tx.CountPasskeys()
	if err != nil {
		return err
	}
	if before != "" && count > 0 && !accept {
		return fmt.Errorf("issuer: %d passkeys are bound to %s and will not work at %q; set the issuer back, or give them up by the command accept-issuer or the option accept_issuer", count, before, now)
	}
	return tx.SetSetting(settingRPID, now)
}

// owner is what WebAuthn has to know of a user.
type owner struct {
	user        *store.User
	credentials []webauthn.Credential
}

func (o owner) WebAuthnID() []byte                         { return []byte(o.user.ID) }
func (o owner) WebAuthnName() string                       { return o.user.Name }
func (o owner) WebAuthnCredentials() []webauthn.Credential { return o.credentials }

func (o owner) WebAuthnDisplayName() string {
	if o.user.DisplayName != "" {
		return o.user.DisplayName
	}
	return o.user.Name
}

func credentialOf(f store.Factor) (webauthn.Credential, error) {
	var c webauthn.Credential
	if err := json.Unmarshal(f.Secret, &c); err != nil {
		return c, fmt.Errorf("reading passkey %s: %w", f.ID, err)
	}
	return c, nil
}

// descriptors name the passkeys that a user has, so that an authenticator that
// has one makes no other.
func descriptors(have []store.Factor) ([]protocol.CredentialDescriptor, error) {
	var all []protocol.CredentialDescriptor
	for _, f := range have {
		c, err := credentialOf(f)
		if err != nil {
			return nil, err
		}
		all = append(all, c.Descriptor())
	}
	return all, nil
}

// parseAssertion reads what a browser answers to a challenge. The library's errors
// repeat what was sent, so none is passed on.
func parseAssertion(answer string) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxPasskeyJSON {
		return nil, ErrWrong
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return nil, ErrWrong
	}
	return parsed, nil
}

// parseCreation reads what a browser answers to a registration.
func parseCreation(answer string) (*protocol.ParsedCredentialCreationData, error) {
	if len(answer) > maxPasskeyJSON {
		return nil, ErrWrong
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return nil, ErrWrong
	}
	return parsed, nil
}
