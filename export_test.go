package oidcrp

import (
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
)

// Identifiers that the tests in package oidcrp_test need.
var (
	UnknownStore    = unknownStore
	ProviderOptions = providerOptions
	SessionOptions  = sessionOptions
	Blocks          = blocks
	Discoveries     = discoveries
	StorageStates   = storageStates
)

const (
	DefaultEndpoints = defaultEndpoints
	ModePrivate      = modePrivate
	ModePublic       = modePublic
)

// RunningApps returns the number of apps that were started and not cleaned up.
func RunningApps() int { return len(runningApps.All()) }

// Handlers returns the provisioned instances.
func (a *App) Handlers() []*Handler { return a.handlers }

// ResolvedProviders returns the shared providers, resolved.
func (a *App) ResolvedProviders() map[string]*provider { return a.providers }

// Instance returns the handler's instance, which the flows use.
func (h *Handler) Instance() *flow.Instance { return h.instance }

// Now returns the time of the configuration's clock.
func (h *Handler) Now() time.Time { return h.now() }

// Storage returns the configuration's storage.
func (a *App) Storage() certmagic.Storage { return a.storageState.storage() }

// RequiredOfStorage reports whether the configurations need this one's storage to
// rotate keys and to keep revocations.
func (a *App) RequiredOfStorage() (keys, revocations bool) {
	a.storageState.mu.Lock()
	defer a.storageState.mu.Unlock()
	required := a.storageState.required()
	return required.rotate > 0, required.revocations
}

// AdminMethods returns the methods of the admin API's endpoints, by path.
func AdminMethods() map[string]string {
	methods := make(map[string]string)
	for path, endpoint := range adminEndpoints {
		methods[path] = endpoint.method
	}
	return methods
}
