package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

const profileCheck = "profile"

// failProfile reports that the provider's metadata does not meet the requirements of
// its profile.
func (e *Examination) failProfile(err error) {
	message := err.Error()
	var unfit *op.ProfileError
	if errors.As(err, &unfit) {
		message = unfit.Error()
	}
	e.fail(profileCheck, message, "Have the provider set up the client for FAPI 2.0. Without profile, sign-ins work but are less well protected.")
}

// checkProfile reports whether the provider meets the requirements of the
// configured profile, if there is one.
func (e *Examination) checkProfile(i *op.Inspection, c *op.Client) {
	p := c.Profile()
	if p == "" {
		return
	}
	if err := c.CheckProfile(i.Metadata); err != nil {
		e.failProfile(err)
	} else {
		e.ok(profileCheck, fmt.Sprintf("%s: requests are pushed, ID tokens are signed with %s", p, strings.Join(c.AcceptedAlgs(i.Metadata), ", ")))
	}
	if c.DPoP.Mode != op.DPoPOn {
		e.checkBinding(i)
	}
	if !i.Said.PromisesIss {
		e.warn(profileCheck, "the provider does not promise iss in its responses, and sign-ins fail without it", "Have the provider send it (RFC 9207).")
	}
}

// checkBinding reports whether the provider binds access tokens to the client
// certificate (RFC 8705, section 3).
func (e *Examination) checkBinding(i *op.Inspection) {
	if i.Said.BindsToCertificates {
		e.ok(profileCheck, "access tokens are bound to the client certificate")
		return
	}
	e.warn(profileCheck, "the provider does not say that it binds access tokens to the client certificate", "Have the provider bind them (RFC 8705, section 3).")
}
