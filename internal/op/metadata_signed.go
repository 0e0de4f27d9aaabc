package op

import (
	"fmt"
	"slices"
	"strings"
)

// RequestMetadata is the metadata about request objects (Discovery, section 3; RFC
// 9101, section 10.5). Missing lists are nil.
type RequestMetadata struct {
	// Algs: request_object_signing_alg_values_supported
	Algs []string
	// KeyAlgs and ContentAlgs: request_object_encryption_alg_values_supported and
	// request_object_encryption_enc_values_supported
	KeyAlgs, ContentAlgs []string
	// Required: require_signed_request_object
	Required bool
	// NotByValue reports that request_parameter_supported is false. Many providers
	// omit it.
	NotByValue bool
}

// ResponseMetadata is the metadata about authorization responses.
type ResponseMetadata struct {
	// Modes: response_modes_supported
	Modes []string
	// Algs: authorization_signing_alg_values_supported (JARM 4)
	Algs []string
}

// requestMetadata ignores lists that cannot be read, since the feature may not be
// in use.
func requestMetadata(o object) (m RequestMetadata) {
	m.Algs, _ = o.texts("request_object_signing_alg_values_supported", false)
	m.KeyAlgs, _ = o.texts("request_object_encryption_alg_values_supported", false)
	m.ContentAlgs, _ = o.texts("request_object_encryption_enc_values_supported", false)
	m.Required = string(o["require_signed_request_object"]) == "true"
	m.NotByValue = string(o["request_parameter_supported"]) == "false"
	return m
}

func responseMetadata(o object) (m ResponseMetadata) {
	m.Modes, _ = o.texts("response_modes_supported", false)
	m.Algs, _ = o.texts("authorization_signing_alg_values_supported", false)
	return m
}

// SignedResponses reports whether a response mode is one of JARM, whose responses are
// JWTs.
func SignedResponses(mode string) bool { return mode == "jwt" || strings.HasSuffix(mode, ".jwt") }

// SignedResponses reports whether authorization responses have to be signed.
func (c *Client) SignedResponses() bool { return SignedResponses(c.ResponseMode) }

// checkSigned returns an error if the provider requires signed requests and they
// are not configured, or if it does not support request objects by value.
func (c *Client) checkSigned(m *Metadata) error {
	switch {
	case m.Requests.Required && c.RequestObject == "":
		return settingsErrorf("the provider requires signed requests (require_signed_request_object); configure request_object signed")
	case c.RequestObject != "" && m.Requests.NotByValue && !m.Pushed:
		return settingsErrorf("the provider takes no request objects by value (request_parameter_supported is false); remove request_object, or configure pushed_authorization_request_endpoint")
	}
	return nil
}

// OffersResponseMode reports whether the metadata lists the configured response
// mode, or has no list.
func (c *Client) OffersResponseMode(m *Metadata) bool {
	return c.ResponseMode == "" || m.Responses.Modes == nil || slices.Contains(m.Responses.Modes, c.ResponseMode)
}

// CheckRequestObject returns why no request object can be made for the provider, as
// far as that can be determined in advance.
func (c *Client) CheckRequestObject(m *Metadata) error {
	if err := c.checkSigned(m); err != nil || c.RequestObject == "" {
		return err
	}
	_, err := c.requestKey(m)
	return err
}

// notOffered returns the error for an algorithm that is not in the provider's list.
func notOffered(ours, what string, list []string) error {
	return fmt.Errorf("the provider takes %s with %s, and not with %s", what, clip(strings.Join(list, ", ")), ours)
}
