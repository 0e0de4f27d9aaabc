package oidctest

import "net/http"

// discovery is the endpoint for the metadata (OpenID Connect Discovery, section
// 4).
func (p *Provider) discovery(lies *Faults) answer {
	m := p.metadata()
	if lies.Discovery != nil {
		lies.Discovery(m)
	}
	a := document(http.StatusOK, m)
	a.header.Del("Cache-Control")
	return a
}

// metadata returns the true metadata of the provider (OpenID Connect Discovery,
// section 3).
func (p *Provider) metadata() map[string]any {
	m := map[string]any{
		"issuer":                                p.issuer,
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              p.responseModes(),
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{p.conf.alg},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"token_endpoint_auth_methods_supported": []string{p.Client().Auth},
		"code_challenge_methods_supported":      []string{"S256"},
		"backchannel_logout_supported":          true,
		"backchannel_logout_session_supported":  true,
		"frontchannel_logout_supported":         true,
		"frontchannel_logout_session_supported": true,
	}
	if p.conf.promiseIss {
		m["authorization_response_iss_parameter_supported"] = true
	}
	if p.conf.dpop {
		m["dpop_signing_alg_values_supported"] = proofAlgs
	}
	if p.conf.pushed {
		m["require_pushed_authorization_requests"] = true
	}
	if p.conf.signedResponses {
		m["authorization_signing_alg_values_supported"] = []string{p.conf.alg}
	}
	if p.conf.requestObjects {
		m["request_parameter_supported"] = true
		m["require_signed_request_object"] = p.conf.requireRequestObjects
		m["request_object_signing_alg_values_supported"] = []string{"PS256", "ES256", "EdDSA", "HS256"}
		m["request_object_encryption_alg_values_supported"] = []string{"RSA-OAEP", "ECDH-ES"}
		m["request_object_encryption_enc_values_supported"] = []string{"A128CBC-HS256", "A256GCM"}
	}
	for e := Discovery; e < endpoints; e++ {
		if doors[e].member != "" && p.urls[e] != "" {
			m[doors[e].member] = p.urls[e]
		}
	}
	return m
}
