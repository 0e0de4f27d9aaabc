package operator

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// External describes an external provider of the configuration, and what has to be
// registered there.
type External struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // oidc, saml or oauth2
	Domains  []string `json:"domains,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`

	RedirectURI string `json:"redirect_uri,omitempty"` // for OpenID Connect and OAuth 2.0
	EntityID    string `json:"entity_id,omitempty"`    // for SAML; also the URL of our metadata
	ACS         string `json:"assertion_consumer_service,omitempty"`
	// Keys are the keys that we use with a SAML identity provider, as published in our
	// metadata.
	Keys []SAMLKey `json:"keys,omitempty"`
}

// Externals are the external providers, in the order of the configuration.
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
	if err != nil {
		return External{}, err
	}
	for _, e := range all.Externals {
		if e.ID != r.ID {
			continue
		}
		if e.Kind == "saml" {
			e.Keys, err = samlKeys(ctx, s, e.ID)
		}
		return e, err
	}
	return External{}, noExternal(r.ID)
}

func noExternal(id string) error {
	return refuse(http.StatusNotFound, "there is no external provider %s", logtext.Clean(id, logtext.MaxName))
}

// SAMLKey is a key that we use with a SAML identity provider. It is identified by its
// certificate, which is in our metadata.
type SAMLKey struct {
	Use         string     `json:"use"`         // signing or encryption
	Status      string     `json:"status"`      // published, active or retiring
	Certificate string     `json:"certificate"` // SHA-256 fingerprint
	Created     *time.Time `json:"created,omitempty"`
	Active      *time.Time `json:"used_from,omitempty"`
	Until       *time.Time `json:"accepted_until,omitempty"`
}

func samlKeys(ctx context.Context, s *server.Server, id string) ([]SAMLKey, error) {
	keys, err := s.Broker.SAMLKeys(ctx, id)
	return shownSAMLKeys(keys), err
}

func shownSAMLKeys(keys []broker.SAMLKey) []SAMLKey {
	var all []SAMLKey
	for _, k := range keys {
		all = append(all, SAMLKey{k.Use, k.Status, k.Fingerprint, inUTC(k.Created), inUTC(k.Signs), inUTC(k.Until)})
	}
	return all
}

// RotateSAMLRequest asks for new keys for a SAML identity provider.
type RotateSAMLRequest struct {
	ID string `json:"id"`
	// After is the number of seconds until the new keys are used to sign. Default: seven
	// days.
	After int64 `json:"after,omitempty"`
	// Compromised retires the old keys at once, because somebody else has them.
	Compromised bool `json:"compromised,omitempty"`
	Yes         bool `json:"yes,omitempty"`
}

// RotatedSAML contains the keys after a rotation, and the URL of the metadata with them.
type RotatedSAML struct {
	ID          string    `json:"id"`
	Metadata    string    `json:"metadata"`
	Keys        []SAMLKey `json:"keys"`
	compromised bool
}

func (r RotatedSAML) audit() []slog.Attr {
	return []slog.Attr{slog.String("external", r.ID), slog.Int("keys", len(r.Keys)), slog.Bool("compromised", r.compromised)}
}

func rotateSAMLKeys(ctx context.Context, s *server.Server, r RotateSAMLRequest) (RotatedSAML, error) {
	if r.Compromised && !r.Yes {
		return RotatedSAML{}, refuse(http.StatusBadRequest, "the provider refuses our requests until it has the new metadata; add --yes")
	}
	keys, err := s.Broker.RotateSAMLKeys(ctx, r.ID, broker.SAMLRotation{After: time.Duration(r.After) * time.Second, Compromised: r.Compromised})
	switch {
	case errors.Is(err, broker.ErrNoSAML):
		return RotatedSAML{}, &Error{http.StatusNotFound, err}
	case errors.Is(err, broker.ErrOverlap):
		return RotatedSAML{}, &Error{http.StatusBadRequest, err}
	}
	return RotatedSAML{r.ID, s.Broker.SAMLEntityID(r.ID), shownSAMLKeys(keys), r.Compromised}, err
}
