package jsondoc

// Section is a section of the page, about one type.
type Section struct {
	Title string
	Of    string // the type, preceded by its folder and a dot
	Intro string // replaces the type's comment; may be empty
	// Caddyfile maps the names of fields to their Caddyfile options, where these
	// have a different name.
	Caddyfile map[string]string
}

// folders are the folders that contain the types.
var folders = []string{".", "siteconfig", "ruleconfig", "store/memory", "store/storage", "store/redis", "directory/list", "directory/file", "directory/scim", "idp"}

const asArgument = "the argument"

// Sections are the types, in the order of the page.
var Sections = []Section{
	{
		Title: "The app", Of: "..App",
		Intro:     "`apps.oidc_rp` holds what sites share. A site that defines its own provider does not need it.",
		Caddyfile: map[string]string{"providers": "provider <id> { ... }", "profiles": "profile <name> { ... }"},
	},
	{
		Title: "The handler", Of: "..Handler",
		Intro: "`{\"handler\": \"oidc_rp\"}` guards a site and serves its login endpoints. It belongs on a route that every request of the site passes, before the handlers that it protects.",
		Caddyfile: map[string]string{
			"match": "oidc_rp <matcher>", "mode": "oidc_rp private|public|endpoints", "providers": "provider <ids...>",
			"own_providers": "provider <id> { ... }", "routes": "public <matchers...> and private <matchers...>",
		},
	},
	{
		Title: "Routes", Of: "..Route",
		Caddyfile: map[string]string{"match": "public <matchers...> and private <matchers...>", "mode": "public and private"},
	},
	{Title: "What the application receives", Of: "siteconfig.Upstream", Caddyfile: map[string]string{"headers": "header <name> <value>"}},
	{Title: "Assertions", Of: "siteconfig.Assertion", Caddyfile: map[string]string{"header": asArgument}},
	{Title: "Programs", Of: "siteconfig.Application", Caddyfile: map[string]string{"headers": "header <names...>"}},
	{Title: "Bearer tokens", Of: "siteconfig.Bearer", Caddyfile: map[string]string{"jwt": "bearer jwt", "introspect": "bearer introspect"}},
	{Title: "Tokens of an issuer", Of: "siteconfig.BearerJWT", Caddyfile: map[string]string{"id": asArgument}},
	{
		Title: "Introspection", Of: "siteconfig.BearerIntrospection",
		Caddyfile: map[string]string{"provider": asArgument, "clients": "client <client ids...>"},
	},
	{Title: "Resource metadata", Of: "siteconfig.ResourceMetadata"},
	{Title: "The session endpoint", Of: "siteconfig.SessionEndpoint", Caddyfile: map[string]string{"origins": "origin <origins...>"}},
	{Title: "Answers for other proxies", Of: "siteconfig.Check", Caddyfile: map[string]string{"headers": asArgument}},
	{Title: "Rules", Of: "ruleconfig.Rule"},
	{Title: "Conditions on claims", Of: "ruleconfig.ClaimRule", Caddyfile: map[string]string{"path": "the first argument", "values": "the other arguments"}},
	{Title: "Profiles", Of: "ruleconfig.Profile"},
	{
		Title: "Providers", Of: "..ProviderConfig",
		Caddyfile: map[string]string{
			"client_keys": "client_keys <keys...>, or client_auth private_key_jwt <keys...>", "client_assertion_audience": "client_auth <method> { audience <audience> }",
			"client_assertion_file": "client_auth assertion_file <path>", "client_certificate": "client_auth tls_client_auth <certificate> <key>",
			"client_certificate_key": "client_auth tls_client_auth <certificate> <key>", "group_names": "groups { <provider's name> <local name> }",
			"dpop_key": "dpop <mode> { key session|process }", "dpop_alg": "dpop <mode> { alg ES256|EdDSA }",
		},
	},
	{Title: "The identity provider of this Caddy", Of: "siteconfig.Builtin", Caddyfile: map[string]string{"hosts": "host <names...>"}},
	{Title: "TLS to a provider", Of: "..ProviderTLSConfig", Caddyfile: map[string]string{"client_key": "client_certificate <certificate> <key>"}},
	{
		Title: "Session settings", Of: "..SessionConfig",
		Caddyfile: map[string]string{"store": "store <module> ...", "recheck_grace": "recheck <duration> <grace>"},
	},
	{Title: "The session cookie", Of: "..CookieConfig", Caddyfile: map[string]string{"name": asArgument}},
	{Title: "The store memory", Of: "store/memory.Memory"},
	{Title: "The store storage", Of: "store/storage.Storage", Caddyfile: map[string]string{"storage": "<storage module> ..."}},
	{
		Title: "The store redis", Of: "store/redis.Store",
		Caddyfile: map[string]string{"url": asArgument, "addresses": "address <host:port...>"},
	},
	{Title: "Sentinels of Redis", Of: "store/redis.Sentinel", Caddyfile: map[string]string{"master": "the first argument", "addresses": "the other arguments"}},
	{Title: "TLS to Redis", Of: "store/redis.TLS", Caddyfile: map[string]string{"client_key": "client_certificate <certificate> <key>"}},
	{Title: "The directory list", Of: "directory/list.List", Caddyfile: map[string]string{"names": "the arguments", "providers": "provider <ids...>"}},
	{Title: "The directory file", Of: "directory/file.File", Caddyfile: map[string]string{"path": asArgument, "providers": "provider <ids...>"}},
	{Title: "The directory scim", Of: "directory/scim.SCIM", Caddyfile: map[string]string{"url": asArgument, "providers": "provider <ids...>"}},
	{
		Title: "The identity provider", Of: "idp.App",
		Intro: "`apps.oidc_idp` is the [identity provider](identity-provider.md), provided by the module `github.com/caddy-oidc-rp/caddy-oidc-rp/idp`. The handler `{\"handler\": \"oidc_idp\"}` serves the site of its issuer, and has no fields.",
		Caddyfile: map[string]string{
			"authenticators": "authenticator <name> { ... }", "externals": "external <id> { ... }", "clients": "client <id> { ... }",
		},
	},
	{Title: "The database of accounts", Of: "idp.Database", Caddyfile: map[string]string{"engine": "database sqlite", "file": "database sqlite <file>", "url": "database <postgres URL>"}},
	{Title: "Login authenticators", Of: "idp.Authenticator"},
	{Title: "Rules of passwords", Intro: "What a new password must satisfy. It must not be the user name, the email address or the name of the provider.", Of: "idp.PasswordPolicy"},
	{Title: "Lockout", Intro: "When wrong attempts lock an account, and for how long.", Of: "idp.Lockout", Caddyfile: map[string]string{"attempts": "the first argument", "duration": "the second argument"}},
	{Title: "Single sign-on sessions", Intro: "How long a browser stays signed in.", Of: "idp.SessionPolicy"},
	{
		Title: "Clients", Of: "idp.Client",
		Caddyfile: map[string]string{
			"redirect_uris": "redirect_uri <uris...>", "post_logout_redirect_uris": "post_logout_redirect_uri <uris...>",
			"initiate_login_uri": "initiate <uri>", "grants": "grant <grants...>",
		},
	},
	{Title: "Mail", Intro: "How mail is sent.", Of: "idp.Mail", Caddyfile: map[string]string{"server": asArgument}},
	{
		Title: "External providers", Of: "idp.External",
		Caddyfile: map[string]string{"id": asArgument, "group_names": "groups { <theirs> <ours> }"},
	},
	{Title: "External providers of OpenID Connect", Of: "idp.ExternalOIDC"},
	{Title: "External providers of SAML", Of: "idp.ExternalSAML"},
	{Title: "External providers of OAuth", Of: "idp.ExternalOAuth2", Caddyfile: map[string]string{"preset": asArgument}},
}
