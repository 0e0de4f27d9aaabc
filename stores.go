package oidcrp

// The stores that need no more than Caddy itself. Others are linked by who
// imports them.
import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/memory"
	_ "github.com/caddy-oidc-rp/caddy-oidc-rp/store/storage"
)

// sessionStore is a store that sites of one configuration use, with what
// belongs to it. Sites that say the same of their store share it.
type sessionStore struct {
	store.Store
	// on is the storage that the store is on, nil for any other store.
	onStorage *storageState
	// revocations are in the store itself; nil for a store on a storage.
	events    *revocation.Records
	refresher *refresh.Coordinator
	// callbacks are the answers to logins that were taken.
	callbacks *callback.Coordinator
	// watched is the store itself where it knows of changes, else nil.
	watched store.Versioned
}
