package adminapi

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// ProvidersResponse is the response of ProvidersPath.
type ProvidersResponse struct {
	Providers []ProviderStatus `json:"providers"`
}

// ProviderStatus is the state of a provider of the configuration.
type ProviderStatus struct {
	ID       string `json:"id"`
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// Shared means that the provider is in the app's configuration, so that any
	// site can use it.
	Shared bool `json:"shared"`
	// Sites are the host names of the sites that use the provider; `*` is any.
	Sites    []string `json:"sites"`
	Disabled bool     `json:"disabled"`

	Metadata Health     `json:"metadata"`
	Keys     KeysHealth `json:"keys"`
	// Endpoints are the names of the provider's endpoints, as far as its metadata
	// is known.
	Endpoints []string `json:"endpoints"`
}

// Health is an op.Health. Times of what never happened are omitted.
type Health struct {
	State  op.State  `json:"state"`
	Read   time.Time `json:"read,omitzero"`
	Failed time.Time `json:"failed,omitzero"`
	Error  string    `json:"error,omitempty"` // of Failed
	Next   time.Time `json:"next_try,omitzero"`
}

// KeysHealth is the health of a provider's key set, and how many of its keys can
// be used.
type KeysHealth struct {
	Health
	Usable int `json:"usable"`
}

// maxErrorText is the maximum length in bytes of an error in a response.
const maxErrorText = 500

func healthOf(h op.Health) Health {
	health := Health{State: h.State, Read: inSeconds(h.Read), Failed: inSeconds(h.Failed), Next: inSeconds(h.Next)}
	if h.Err != nil {
		health.Error = h.Err.Error()
		health.Error = health.Error[:min(len(health.Error), maxErrorText)]
	}
	return health
}

// Provider is a provider of the configuration, and the sites that use it.
type Provider struct {
	ID, ClientID     string
	Shared, Disabled bool
	Sites            []string
	// Mapping has the provider's issuer and tenants.
	Mapping   identity.Mapping
	Discovery Discovery
	// Written is a hash of the configuration as written.
	Written string
}

// Discovery has what is known about a provider without a request.
type Discovery interface {
	Health() (op.Health, *op.Metadata)
	KeysHealth() (health op.Health, usable int)
	IsIssuer(name string) bool
}

// MergeProviders returns providers sorted by id. Those with the same id, the
// same configuration and the same discovery become one, with the sites of all.
func MergeProviders(uses []Provider) (merged []Provider) {
	for _, use := range uses {
		i := slices.IndexFunc(merged, func(p Provider) bool {
			return p.ID == use.ID && p.Written == use.Written && p.Discovery == use.Discovery
		})
		if i < 0 {
			i = len(merged)
			merged = append(merged, use)
		}
		merged[i].Sites = addSites(merged[i].Sites, use.Sites)
	}
	slices.SortFunc(merged, func(a, b Provider) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), slices.Compare(a.Sites, b.Sites), cmp.Compare(a.Mapping.Issuer, b.Mapping.Issuer))
	})
	return merged
}

// ListProviders returns the state of merged providers. It makes no request.
func ListProviders(providers []Provider) ProvidersResponse {
	response := ProvidersResponse{Providers: []ProviderStatus{}}
	for _, p := range providers {
		metadata, known := p.Discovery.Health()
		keys, usable := p.Discovery.KeysHealth()
		response.Providers = append(response.Providers, ProviderStatus{
			ID: p.ID, Issuer: p.Mapping.Issuer, ClientID: p.ClientID,
			Shared: p.Shared, Sites: p.Sites, Disabled: p.Disabled,
			Metadata: healthOf(metadata), Keys: KeysHealth{healthOf(keys), usable},
			Endpoints: endpointNames(known),
		})
	}
	return response
}

// endpointNames returns the names of the endpoints that a provider has.
func endpointNames(m *op.Metadata) []string {
	names := []string{}
	if m == nil {
		return names
	}
	for name, address := range m.Endpoints.All() {
		if *address != "" {
			names = append(names, name)
		}
	}
	return names
}
