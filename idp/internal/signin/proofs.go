package signin

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"slices"
	"time"
)

// Values of amr (RFC 8176), and the keys of proofs. External providers are fed,
// which RFC 8176 does not have.
const (
	amrPassword = "pwd"
	amrCode     = "otp"
	amrHardware = "hwk" // a passkey that stays on its device
	amrSoftware = "swk" // a passkey that is synchronized
	amrMFA      = "mfa"
	amrExternal = "fed"
)

// proofExternalMFA is the key of a proof that is not in amr: the external provider
// says that it had two factors, and the configuration believes it.
const proofExternalMFA = "fed-mfa"

// proofs are what a user has proven, and when.
type proofs map[string]time.Time

// with returns these proofs and others; of each kind the later one.
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

// only returns the proofs that a condition holds for.
func (p proofs) only(holds func(time.Time) bool) proofs {
	some := make(proofs, len(p))
	for kind, at := range p {
		if holds(at) {
			some[kind] = at
		}
	}
	return some
}

// options are the combinations of proofs that are an authentication, the better
// ones first. A passkey is two factors: the device, and what it verifies its user
// by. All proofs of a combination have to be there.
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

// authentication returns what proofs amount to: the best class that they reach.
// Its time is that of the oldest proof that the class needs, so that it is never
// newer than what it says. Its ACR is empty if they amount to nothing.
func (p proofs) authentication() (a sso.Authentication) {
	for _, option := range options {
		if a.ACR != "" && option.acr != a.ACR {
			break // a lesser class
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

// oldest returns the time of the oldest of some proofs. ok reports whether all
// are there.
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
