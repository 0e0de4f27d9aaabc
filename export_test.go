package oidcrp

import (
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
)

// What the tests in package oidcrp_test need of this package.
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

// RunningApps returns how many apps were started and not cleaned up.
func RunningApps() int { return len(runningApps.All()) }

// Handlers are the instances that were provisioned.
func (a *App) Handlers() []*Handler { return a.handlers }

// ResolvedProviders are the shared providers, resolved.
func (a *App) ResolvedProviders() map[string]*provider { return a.providers }

// Instance is what the flows know of the handler.
func (h *Handler) Instance() *flow.Instance { return h.instance }

// Now is the time of the configuration.
func (h *Handler) Now() time.Time { return h.now() }

// Storage is the storage of the configuration.
func (a *App) Storage() certmagic.Storage { return a.storageState.storage() }

// RequiredOfStorage returns what the configurations need of this one's storage: to
// rotate keys in it, and to keep revocations in it.
func (a *App) RequiredOfStorage() (keys, revocations bool) {
	a.storageState.mu.Lock()
	defer a.storageState.mu.Unlock()
	required := a.storageState.required()
	return required.rotate > 0, required.revocations
}

// AdminMethods are the methods of the admin API's endpoints, by path.
func AdminMethods() map[string]string {
	methods := make(map[string]string)
	for path, endpoint := range adminEndpoints {
		methods[path] = endpoint.method
	}
	return methods
}
