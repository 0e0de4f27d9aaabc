package doctor

import (
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

const signedName = "signed requests and responses"

// checkSigned reports whether the provider supports the client's request objects (RFC
// 9101) and its response mode. It adds no check if neither requests nor responses are
// signed and nothing is wrong.
func (e *Examination) checkSigned(m *op.Metadata, c *op.Client) {
	fine := true
	if err := c.CheckRequestObject(m); err != nil {
		fine = false
		remedy := "Set request_object signed, and client_keys unless client_auth has keys, and register the public key with the provider."
		if c.RequestObject != "" {
			remedy = "Use a kind of key that the provider accepts in client_keys, or change request_object."
		}
		e.fail(signedName, err.Error(), remedy)
	}
	if !c.OffersResponseMode(m) {
		fine = false
		e.fail(signedName, fmt.Sprintf("response_mode is %s, and the provider offers %s", c.ResponseMode, strings.Join(m.Responses.Modes, ", ")),
			"Set response_mode to one of those.")
	}
	if c.RequestObject == "" && !c.SignedResponses() || !fine {
		return
	}
	var parts []string
	if c.RequestObject != "" {
		parts = append(parts, "requests are "+c.RequestObject)
	}
	if c.SignedResponses() {
		parts = append(parts, "responses must be signed with "+strings.Join(c.ResponseAlgs(m), ", "))
	}
	e.ok(signedName, strings.Join(parts, ", and "))
}
