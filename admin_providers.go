package oidcrp

import (
	"cmp"
	"crypto/sha256"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// providersAnswer is what the admin API tells of providers.
type providersAnswer struct {
	Providers []providerStatus `json:"providers"`
}

// providerStatus is how a provider of the configuration is.
type providerStatus struct {
	ID       string `json:"id"`
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// Shared: it is in the app's configuration, and not a site's own.
	Shared bool `json:"shared"`
	// Sites are the host names of the sites that use it; `*` is any.
	Sites    []string `json:"sites"`
	Disabled bool     `json:"disabled"`

	Metadata healthStatus `json:"metadata"`
	Keys     keysStatus   `json:"keys"`
	// Endpoints are those that the provider has, by the names of options,
	// as far as its metadata is known.
	Endpoints []string `json:"endpoints"`
}

// healthStatus is a provider.Health. Times that never were are left out.
type healthStatus struct {
	State  op.State  `json:"state"`
	Read   time.Time `json:"read,omitzero"`
	Failed time.Time `json:"failed,omitzero"`
	Error  string    `json:"error,omitempty"` // of Failed
	Next   time.Time `json:"next_try,omitzero"`
}

type keysStatus struct {
	healthStatus
	Usable int `json:"usable"`
}

// maxErrorText bounds what an answer repeats of an error.
const maxErrorText = 500

func statusOf(h op.Health) healthStatus {
	status := healthStatus{State: h.State, Read: inSeconds(h.Read), Failed: inSeconds(h.Failed), Next: inSeconds(h.Next)}
	if h.Err != nil {
		status.Error = h.Err.Error()
		status.Error = status.Error[:min(len(status.Error), maxErrorText)]
	}
	return status
}

func inSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// usedProvider is a provider of the configuration and the sites that use it.
type usedProvider struct {
	*provider
	shared bool
	sites  []string
}

// usedProviders returns the providers of the configuration by id. Sites whose own
// providers have the same id and configuration have one.
func (a *App) usedProviders() []*usedProvider {
	a.linkInstances()
	type key struct {
		id      string
		written [sha256.Size]byte
		remote  *op.Discovery
	}
	known := make(map[key]*usedProvider)
	use := func(p *provider, shared bool, sites ...string) {
		k := key{p.ID, p.written, p.Client.Discovery}
		if known[k] == nil {
			known[k] = &usedProvider{provider: p, shared: shared, sites: []string{}}
		}
		for _, site := range sites {
			if !slices.Contains(known[k].sites, site) {
				known[k].sites = append(known[k].sites, site)
			}
		}
	}
	for _, p := range a.providers {
		use(p, true)
	}
	for _, h := range a.handlers {
		for _, p := range h.providers {
			use(p, false, h.hosts...)
		}
	}
	all := make([]*usedProvider, 0, len(known))
	for _, u := range known {
		slices.Sort(u.sites)
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *usedProvider) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), slices.Compare(a.sites, b.sites), cmp.Compare(a.Mapping.Issuer, b.Mapping.Issuer))
	})
	return all
}

// listProviders tells how the providers are, by what is known: it asks none.
func (a *App) listProviders(*http.Request) (any, error) {
	answer := providersAnswer{Providers: []providerStatus{}}
	for _, u := range a.usedProviders() {
		health, metadata := u.Client.Discovery.Health()
		keys, usable := u.Client.Discovery.KeysHealth()
		answer.Providers = append(answer.Providers, providerStatus{
			ID: u.ID, Issuer: u.Mapping.Issuer, ClientID: u.Client.ClientID,
			Shared: u.shared, Sites: u.sites, Disabled: u.Disabled,
			Metadata: statusOf(health), Keys: keysStatus{statusOf(keys), usable},
			Endpoints: endpointsOf(metadata),
		})
	}
	return answer, nil
}

// endpointsOf names the endpoints that a provider has.
func endpointsOf(m *op.Metadata) []string {
	present := []string{}
	if m == nil {
		return present
	}
	for name, address := range m.Endpoints.All() {
		if *address != "" {
			present = append(present, name)
		}
	}
	return present
}
