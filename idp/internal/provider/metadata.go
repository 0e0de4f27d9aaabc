package provider

import (
	"encoding/json"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"net/http"
)

// metadataDocument is the discovery document (OpenID Connect Discovery 3; RFC
// 8414).
type metadataDocument struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserInfoEndpoint      string `json:"userinfo_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`

	Scopes        []string `json:"scopes_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	ACRValues     []string `json:"acr_values_supported"`
	Prompts       []string `json:"prompt_values_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	IDTokenAlgs   []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	RevokeAuth    []string `json:"revocation_endpoint_auth_methods_supported"`
	ClaimTypes    []string `json:"claim_types_supported"`
	Claims        []string `json:"claims_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	UILocales     []string `json:"ui_locales_supported,omitempty"`

	ClaimsParameter     bool `json:"claims_parameter_supported"`
	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURIParameter bool `json:"request_uri_parameter_supported"`
	IssuerParameter     bool `json:"authorization_response_iss_parameter_supported"`
	Backchannel         bool `json:"backchannel_logout_supported"`
	BackchannelSession  bool `json:"backchannel_logout_session_supported"`
}

func (p *Provider) newMetadata() ([]byte, error) {
	claims := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}
	for _, claim := range userClaims {
		claims = append(claims, claim.name)
	}
	auth := []string{"client_secret_basic", "client_secret_post", "none"}
	return json.MarshalIndent(metadataDocument{
		Issuer:                p.issuer,
		AuthorizationEndpoint: p.issuer + "/authorize",
		TokenEndpoint:         p.issuer + "/token",
		UserInfoEndpoint:      p.issuer + "/userinfo",
		JWKSURI:               p.issuer + "/jwks",
		RevocationEndpoint:    p.issuer + "/revoke",
		EndSessionEndpoint:    p.issuer + "/end_session",
		Scopes:                scopes,
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{modeQuery, modeFormPost},
		GrantTypes:            []string{"authorization_code", "refresh_token", "client_credentials"},
		ACRValues:             []string{sso.ACRPassword, sso.ACRMFA, sso.ACRExternal},
		Prompts:               prompts,
		SubjectTypes:          []string{"public"},
		IDTokenAlgs:           algs,
		TokenAuth:             auth,
		RevokeAuth:            auth,
		ClaimTypes:            []string{"normal"},
		Claims:                claims,
		Challenges:            []string{"S256"},
		UILocales:             p.Languages,
		ClaimsParameter:       true,
		IssuerParameter:       true,
		Backchannel:           true,
		BackchannelSession:    true,
	}, "", "  ")
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	writePublic(w, p.metadata)
}

// jwks serves the keys that sign, will sign, or have signed what is still valid.
func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) {
	keys, err := p.Keys.public(r.Context())
	if err != nil {
		p.answerClient(w, r, "jwks", nil, nil, nil, err)
		return
	}
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		p.answerClient(w, r, "jwks", nil, nil, nil, err)
		return
	}
	writePublic(w, body)
}

// writePublic responds with a document that may be cached for a while.
func writePublic(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	// Ignore clients that have disconnected.
	_, _ = w.Write(body)
}
