package signin

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"slices"
	"time"
)

// Values of amr (RFC 8176) and keys of proofs. fed, for external providers, is not
// in RFC 8176.
const (
	amrPassword = "pwd"
	amrCode     = "otp"
	amrHardware = "hwk" // a device-bound passkey
	amrSoftware = "swk" // a synced passkey
	amrMFA      = "mfa"
	amrExternal = "fed"
)

// proofExternalMFA is the key of a proof that is not in amr: the external provider
// reported two factors, and the configuration accepts that.
const proofExternalMFA = "fed-mfa"

// proofs are what a user has proved, and when.
type proofs map[string]time.Time

// with returns the union of proofs; of each kind the later one.
func (p proofs) with(others proofs) proofs {
	both := make(proofs, len(p)+len(others))
	for _, some := range []proofs{p, others} {
		for kind, at := range some {
			if at.After(both[kind]) {
				both[kind] = at
			}
		}
	}
	return both
}

// only returns the proofs whose time satisfies a condition.
func (p proofs) only(holds func(time.Time) bool) proofs {
	some := make(proofs, len(p))
	for kind, at := range p {
		if holds(at) {
			some[kind] = at
		}
	}
	return some
}

// options are the combinations of proofs that are an authentication, the stronger
// ones first. All proofs of a combination are required. A passkey is two factors:
// the device, and its user verification.
var options = []struct {
	acr string
	of  []string
}{
	{sso.ACRMFA, []string{amrHardware}},
	{sso.ACRMFA, []string{amrSoftware}},
	{sso.ACRMFA, []string{amrPassword, amrCode}},
	{sso.ACRMFA, []string{amrExternal, amrCode}},
	{sso.ACRMFA, []string{amrExternal, proofExternalMFA}},
	{sso.ACRPassword, []string{amrPassword}},
	{sso.ACRExternal, []string{amrExternal}},
}

// authentication returns the strongest authentication that the proofs amount to.
// Its time is that of the oldest proof that it needs. Its ACR is empty if there is
// none.
func (p proofs) authentication() (a sso.Authentication) {
	for _, option := range options {
		if a.ACR != "" && option.acr != a.ACR {
			break // a weaker class
		}
		if at, ok := p.oldest(option.of); ok && at.After(a.Time) {
			a.ACR, a.Time = option.acr, at
		}
	}
	if a.ACR == "" {
		return a
	}
	for _, kind := range []string{amrPassword, amrCode, amrHardware, amrSoftware, amrExternal} {
		if _, ok := p[kind]; ok {
			a.AMR = append(a.AMR, kind)
		}
	}
	if a.ACR == sso.ACRMFA {
		a.AMR = append(a.AMR, amrMFA)
	}
	return a
}

// oldest returns the oldest time of the given kinds of proofs. ok reports whether
// all are present.
func (p proofs) oldest(kinds []string) (at time.Time, ok bool) {
	times := make([]time.Time, 0, len(kinds))
	for _, kind := range kinds {
		if t, ok := p[kind]; ok {
			times = append(times, t)
		}
	}
	if len(times) < len(kinds) {
		return time.Time{}, false
	}
	return slices.MinFunc(times, time.Time.Compare), true
}
