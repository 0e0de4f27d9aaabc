package main

// anyAlgorithm is why, by default, the plugin accepts a logout token that the suite wants
// refused.
const anyAlgorithm = "by default, logout tokens may have any algorithm of discovery; `id_token_algs` makes that strict"

// logoutPlans are the plans about what follows a login.
var logoutPlans = []plan{
	{
		name: "rp-logout", atSuite: "oidcc-client-rp-initiated-logout-rp-basic", least: 3, modules: oidcModules,
		variant: fixed(variant("client_secret_basic", "default"), "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
	},
	{
		name: "backchannel", atSuite: "oidcc-client-back-channel-logout-rp-basic", least: 8, modules: oidcModules,
		variant: fixed(variant("client_secret_basic", "default"), "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs RS256
userinfo always`,
	},
	{
		name: "backchannel-default-algs", atSuite: "oidcc-client-back-channel-logout-rp-basic", least: 8, modules: oidcModules,
		variant: fixed(variant("client_secret_basic", "default"), "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
		except: map[string]module{"rp-backchannel-rpinitlogout-wrong-alg": {absent: anyAlgorithm}},
	},
	{
		// The suite checks only the responses. This plan also checks the session, which
		// ends only with the correct token.
		name: "backchannel-from-provider", atSuite: "oidcc-client-back-channel-logout-rp-basic", least: 8, modules: oidcModules,
		variant: fixed(variant("client_secret_basic", "default"), "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs RS256
userinfo always
upstream {
	id_token X-Id-Token
}`,
		except: map[string]module{
			"rp-backchannel-rpinitlogout":             {do: signOutAtProvider, own: signedOut},
			"rp-backchannel-rpinitlogout-alg-none":    {do: signOutAtProvider, own: stillSignedIn},
			"rp-backchannel-rpinitlogout-no-event":    {do: signOutAtProvider, own: stillSignedIn},
			"rp-backchannel-rpinitlogout-with-nonce":  {do: signOutAtProvider, own: stillSignedIn},
			"rp-backchannel-rpinitlogout-wrong-alg":   {do: signOutAtProvider, own: stillSignedIn},
			"rp-backchannel-rpinitlogout-wrong-aud":   {do: signOutAtProvider, own: stillSignedIn},
			"rp-backchannel-rpinitlogout-wrong-event": {do: signOutAtProvider, own: stillSignedIn},
			"rp-backchannel-rpinitlogout-wrong-iss":   {do: signOutAtProvider, own: stillSignedIn},
		},
	},
	{
		name: "backchannel-encrypted", atSuite: "oidcc-client-logout-test-plan", modules: oidcModules,
		only: []string{
			"rp-init-logout", "rp-backchannel-rpinitlogout", "rp-backchannel-rpinitlogout-alg-none", "rp-backchannel-rpinitlogout-no-event",
			"rp-backchannel-rpinitlogout-with-nonce", "rp-backchannel-rpinitlogout-wrong-alg", "rp-backchannel-rpinitlogout-wrong-aud",
			"rp-backchannel-rpinitlogout-wrong-event", "rp-backchannel-rpinitlogout-wrong-iss",
		},
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
id_token_algs RS256
decryption_key decryption.jwk
userinfo always`,
		client: map[string]any{"id_token_encrypted_response_alg": "RSA-OAEP-256", "id_token_encrypted_response_enc": "A256GCM"},
	},
	{
		name: "frontchannel", atSuite: "oidcc-client-front-channel-logout-rp-basic", least: 1, modules: oidcModules,
		variant: fixed(variant("client_secret_basic", "default"), "response_type"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
	},
	{
		name: "all-logout", atSuite: "oidcc-client-logout-test-plan", least: 13, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
		except: map[string]module{"rp-backchannel-rpinitlogout-wrong-alg": {absent: anyAlgorithm}},
	},
	{
		name: "all-logout-by-cookie", atSuite: "oidcc-client-logout-test-plan", modules: oidcModules,
		only: []string{
			"rp-init-logout", "rp-init-logout-other-state", "rp-init-logout-no-state", "session-management",
			"rp-frontchannel-rpinitlogout", "rp-frontchannel-opinitlogout",
		},
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always
session {
	cookie {
		same_site none
	}
}`,
		client: map[string]any{"frontchannel_logout_session_required": false},
	},
	{
		name: "refresh", atSuite: "oidcc-client-refreshtoken-test-plan", least: 3, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}` + refreshing,
	},
	{
		name: "refresh-public-client", atSuite: "oidcc-client-refreshtoken-test-plan", least: 3, modules: oidcModules,
		variant: variant("none", "default"),
		options: `client_auth none` + refreshing,
	},
	{
		name: "refresh-private-key-jwt", atSuite: "oidcc-client-refreshtoken-test-plan", least: 3, modules: oidcModules,
		variant: variant("private_key_jwt", "default"),
		options: `client_auth private_key_jwt client.jwk` + refreshing,
	},
	{
		name: "refresh-secret-jwt", atSuite: "oidcc-client-refreshtoken-test-plan", least: 3, modules: oidcModules,
		variant: variant("client_secret_jwt", "default"),
		options: `client_secret {env.CLIENT_SECRET}
client_auth client_secret_jwt` + refreshing,
		client: map[string]any{"client_secret_jwt_alg": "HS256"},
	},
	{
		name: "refresh-form-post", atSuite: "oidcc-client-refreshtoken-test-plan", least: 3, modules: oidcModules,
		variant: variant("client_secret_basic", "form_post"),
		options: `client_secret {env.CLIENT_SECRET}
response_mode form_post` + refreshing,
	},
	{
		name: "third-party-login", atSuite: "oidcc-client-test-3rd-party-init-login-test-plan", least: 1, modules: oidcModules,
		variant: variant("client_secret_basic", "default"),
		options: `client_secret {env.CLIENT_SECRET}
userinfo always`,
	},
}

// refreshing has the lines for access tokens that expire soon, because the suite does not
// say when they expire.
const refreshing = `
access_token_lifetime 3s
userinfo always
session {
	refresh on
}`
