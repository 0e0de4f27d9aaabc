package main

// variant returns all variants, for plans that leave all of them to the caller.
func variant(clientAuth, responseMode string) map[string]string {
	return map[string]string{
		"client_auth_type":    clientAuth,
		"response_mode":       responseMode,
		"response_type":       "code",
		"request_type":        "plain_http_request",
		"client_registration": "static_client",
	}
}

// fixed removes the variants that a plan fixes.
func fixed(v map[string]string, names ...string) map[string]string {
	for _, name := range names {
		delete(v, name)
	}
	return v
}

// corePlans are the plans about logins. The comprehensive one runs once for each client
// authentication method, and in part for each algorithm.
var corePlans = []plan{
	{
		name: "basic", atSuite: "oidcc-client-basic-certification-test-plan", least: 14, modules: oidcModules,
		variant: fixed(variant("", ""), "client_auth_type", "response_mode", "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
	},
	{
		name: "basic-userinfo-auto", atSuite: "oidcc-client-basic-certification-test-plan", least: 14, modules: oidcModules,
		variant: fixed(variant("", ""), "client_auth_type", "response_mode", "response_type"),
		options: `client_secret {env.CLIENT_SECRET}`,
	},
	{
		name: "config", atSuite: "oidcc-client-config-certification-test-plan", least: 6, modules: oidcModules,
		variant: fixed(variant("client_secret_basic", "default"), "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
	},
	{
		name: "form-post", atSuite: "oidcc-client-formpost-basic-certification-test-plan", least: 14, modules: oidcModules,
		variant: fixed(variant("", ""), "client_auth_type", "response_mode", "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
response_mode form_post
userinfo always`,
	},
	{
		name: "all-secret-basic", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
client_auth client_secret_basic
userinfo always`,
	},
	{
		name: "all-secret-post", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("client_secret_post", "default"),
		options: `client_secret {env.CLIENT_SECRET}
client_auth client_secret_post
userinfo always`,
	},
	{
		name: "all-secret-jwt", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("client_secret_jwt", "default"),
		options: `client_secret {env.CLIENT_SECRET}
client_auth client_secret_jwt
userinfo always`,
		client: map[string]any{"client_secret_jwt_alg": "HS256"},
	},
	{
		name: "all-private-key-jwt", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("private_key_jwt", "default"),
		options: `client_auth private_key_jwt client.jwk
userinfo always`,
	},
	{
		name: "all-public-client", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("none", "default"),
		options: `client_auth none
userinfo always`,
	},
	{
		name: "all-tls", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("tls_client_auth", "default"),
		options: `client_auth tls_client_auth client.crt client.key
userinfo always`,
	},
	{
		name: "all-self-signed-tls", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("self_signed_tls_client_auth", "default"),
		options: `client_auth tls_client_auth client.crt client.key
userinfo always`,
	},
	{
		name: "all-form-post", atSuite: comprehensive, least: 25, modules: oidcModules,
		variant: variant("client_secret_basic", "form_post"),
		options: `client_secret {env.CLIENT_SECRET}
response_mode form_post
userinfo always`,
	},
	{
		name: "es256", atSuite: comprehensive, only: aboutAlgorithms, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs ES256
userinfo always`,
		client: map[string]any{"id_token_signed_response_alg": "ES256"},
	},
	{
		name: "ps256", atSuite: comprehensive, only: aboutAlgorithms, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs PS256
userinfo always`,
		client: map[string]any{"id_token_signed_response_alg": "PS256"},
	},
	{
		name: "eddsa", atSuite: comprehensive, only: aboutAlgorithms, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs EdDSA
userinfo always`,
		client: map[string]any{"id_token_signed_response_alg": "EdDSA"},
	},
	{
		name: "hs256", atSuite: comprehensive, modules: oidcModules,
		// The other modules sign with RS256 regardless, or wait for a request for keys
		// that are not needed.
		only: []string{happy, "invalid-iss", "nonce-invalid", "invalid-sig-rs256", "invalid-sig-hs256", "invalid-sig-es256", "userinfo-signed"},

		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs HS256
userinfo always`,
		client: map[string]any{"id_token_signed_response_alg": "HS256"},
	},
	{
		name: "rsa-oaep-256", atSuite: comprehensive, only: aboutEncryption, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
decryption_key decryption.jwk
userinfo always`,
		client: map[string]any{"id_token_encrypted_response_alg": "RSA-OAEP-256", "id_token_encrypted_response_enc": "A256GCM"},
	},
	{
		name: "ecdh-es", atSuite: comprehensive, only: aboutEncryption, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
decryption_key agreement.jwk
userinfo always`,
		client: map[string]any{"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM"},
	},
}

const comprehensive = "oidcc-client-test-plan"

// These modules depend on the algorithm of the ID token, or on its encryption.
var (
	aboutAlgorithms = []string{
		happy, "invalid-iss", "kid-absent-single-jwks", "kid-absent-multiple-jwks", "invalid-sig-rs256", "nonce-invalid",
		"signing-key-rotation-just-before-signing", "signing-key-rotation", "invalid-sig-hs256", "invalid-sig-es256", "userinfo-signed",
	}
	aboutEncryption = []string{
		happy, "invalid-iss", "kid-absent-single-jwks", "kid-absent-multiple-jwks", "idtoken-sig-none", "invalid-sig-rs256", "nonce-invalid",
		"signing-key-rotation-just-before-signing", "signing-key-rotation", "userinfo-signed",
	}
)
