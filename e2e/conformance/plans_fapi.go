package main

// fapiPlans are the plans of FAPI 2.0, with the profile that a site would have. They need
// userinfo as the resource at which the suite sees access tokens, and id_token_algs for
// the registered algorithm.
var fapiPlans = []plan{
	{
		name: "fapi-tls", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("mtls", "mtls"),
		options: byCertificate + fapi2,
	},
	{
		name: "fapi-private-key-jwt-tls", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("private_key_jwt", "mtls"),
		options: byKey + boundToCertificate + fapi2,
	},
	{
		name: "fapi-private-key-jwt-dpop", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("private_key_jwt", "dpop"),
		options: byKey + fapi2,
	},
	{
		name: "fapi-tls-dpop", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("mtls", "dpop"),
		options: byCertificate + "dpop on\n" + fapi2,
	},
	{
		name: "fapi-message-signing", atSuite: fapiMessageSigning, least: 20, modules: fapiModules, keys: true,
		variant: signing(fapiVariant("private_key_jwt", "mtls")),
		options: byKey + boundToCertificate + fapi2Signing,
	},
	{
		name: "fapi-message-signing-dpop", atSuite: fapiMessageSigning, least: 20, modules: fapiModules, keys: true,
		variant: signing(fapiVariant("private_key_jwt", "dpop")),
		options: byKey + fapi2Signing,
	},
	{
		name: "fapi-message-signing-tls", atSuite: fapiMessageSigning, least: 20, modules: fapiModules, keys: true,
		variant: signing(fapiVariant("mtls", "mtls")),
		options: byCertificate + "client_keys client.jwk\n" + fapi2Signing,
	},
}

const (
	fapiSecurityProfile = "fapi2-security-profile-final-client-test-plan"
	fapiMessageSigning  = "fapi2-message-signing-final-client-test-plan"
)

// Lines of Caddyfiles.
const (
	byCertificate = `client_auth tls_client_auth client.crt client.key
`
	byKey = `client_auth private_key_jwt client.jwk
`
	boundToCertificate = `tls {
	client_certificate client.crt client.key
}
`
	fapi2 = `profile fapi2
id_token_algs PS256
userinfo always`
	fapi2Signing = `profile fapi2_message_signing
id_token_algs PS256
userinfo always`
)

func fapiVariant(clientAuth, tokensBoundBy string) map[string]string {
	return map[string]string{
		"client_auth_type":           clientAuth,
		"sender_constrain":           tokensBoundBy,
		"fapi_profile":               "plain_fapi",
		"fapi_client_type":           "oidc",
		"authorization_request_type": "simple",
	}
}

// signing changes a variant to signed requests and signed responses.
func signing(v map[string]string) map[string]string {
	v["fapi_request_method"], v["fapi_response_mode"] = "signed_non_repudiation", "jarm"
	return v
}
