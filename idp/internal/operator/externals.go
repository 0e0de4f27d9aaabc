package operator

import (
	"context"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// External is an external provider of the configuration, and what it has to know of
// this one.
type External struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // oidc, saml or oauth2
	Domains  []string `json:"domains,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`

	RedirectURI string `json:"redirect_uri,omitempty"` // of OpenID Connect and OAuth 2.0
	EntityID    string `json:"entity_id,omitempty"`    // of SAML, and the address of our metadata
	ACS         string `json:"assertion_consumer_service,omitempty"`
}

// Externals are the external providers in the order of the configuration.
type Externals struct {
	Externals []External `json:"externals"`
}

func listExternals(_ context.Context, s *server.Server, _ Empty) (Externals, error) {
	all := Externals{Externals: []External{}}
	for _, e := range s.Broker.Externals() {
		shown := External{ID: e.ID, Name: e.Name, Kind: e.Kind, Domains: e.Domains, Disabled: e.Disabled}
		if base := s.Issuer.String(); e.Kind == "saml" {
			shown.EntityID, shown.ACS = base+"/saml/"+e.ID+"/metadata", base+"/saml/"+e.ID+"/acs"
		} else {
			shown.RedirectURI = base + "/external/" + e.ID + "/callback"
		}
		all.Externals = append(all.Externals, shown)
	}
	return all, nil
}

func showExternal(ctx context.Context, s *server.Server, r IDRequest) (External, error) {
	all, err := listExternals(ctx, s, Empty{})
	for _, e := range all.Externals {
		if e.ID == r.ID {
			return e, err
		}
	}
	return External{}, refuse(http.StatusNotFound, "there is no external provider %s", logtext.Clean(r.ID, logtext.MaxName))
}
