package main

// Plans of FAPI 2.0.
var fapiPlans = []plan{
	{
		name: "fapi-tls", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("mtls", "mtls"),
		options: `client_auth tls_client_auth client.crt client.key
id_token_algs PS256
userinfo always`,
	},
	{
		name: "fapi-private-key-jwt-tls", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("private_key_jwt", "mtls"),
		options: `client_auth private_key_jwt client.jwk
tls {
	client_certificate client.crt client.key
}
id_token_algs PS256
userinfo always`,
	},
	{
		name: "fapi-private-key-jwt-dpop", atSuite: fapiSecurityProfile, least: 20, modules: fapiModules, keys: true,
		variant: fapiVariant("private_key_jwt", "dpop"),
		options: `client_auth private_key_jwt client.jwk
id_token_algs PS256
userinfo always`,
		later: "tokens bound by DPoP are not offered",
	},
	{
		name: "fapi-message-signing", atSuite: "fapi2-message-signing-final-client-test-plan", least: 20, modules: fapiModules, keys: true,
		variant: with(fapiVariant("private_key_jwt", "mtls"), "fapi_request_method", "signed_non_repudiation", "fapi_response_mode", "jarm"),
		options: `client_auth private_key_jwt client.jwk
tls {
	client_certificate client.crt client.key
}
id_token_algs PS256
userinfo always`,
		later: "signed requests and signed responses are not offered",
	},
}

const fapiSecurityProfile = "fapi2-security-profile-final-client-test-plan"

func fapiVariant(clientAuth, tokensBoundBy string) map[string]string {
	return map[string]string{
		"client_auth_type":           clientAuth,
		"sender_constrain":           tokensBoundBy,
		"fapi_profile":               "plain_fapi",
		"fapi_client_type":           "oidc",
		"authorization_request_type": "simple",
	}
}

func with(v map[string]string, pairs ...string) map[string]string {
	for i := 0; i+1 < len(pairs); i += 2 {
		v[pairs[i]] = pairs[i+1]
	}
	return v
}
