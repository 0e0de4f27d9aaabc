// Package storage keeps sessions in one of Caddy's storages, which all nodes
// share that have it configured.
package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/storagekey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func init() { caddy.RegisterModule(Storage{}) }

const defaultTimeout = 5 * time.Second

// Storage keeps sessions in a Caddy storage: in files by default, and shared by all
// nodes with the same storage. They survive restarts. Each node reads a busy
// session about every two seconds, and sees other nodes' changes within that time.
type Storage struct {
	// Where sessions are kept. Default: Caddy's global storage.
	StorageRaw json.RawMessage `json:"storage,omitempty" caddy:"namespace=caddy.storage inline_key=module"`

	// How long the storage may take to respond. Default: `5s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	logger  *zap.Logger
	storage certmagic.Storage
	node    *node
	release func() error
}

// CaddyModule returns the module's registration.
func (Storage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: store.Namespace + ".storage", New: func() caddy.Module { return new(Storage) }}
}

// nodes holds the state of each storage while a configuration uses it.
var nodes = caddy.NewUsagePool()

// Provision implements caddy.Provisioner. It does not access the storage.
func (s *Storage) Provision(ctx caddy.Context) error {
	if s.Timeout < 0 {
		return fmt.Errorf("timeout: %v is less than nothing", time.Duration(s.Timeout))
	}
	if s.Timeout == 0 {
		s.Timeout = caddy.Duration(defaultTimeout)
	}
	s.logger = ctx.Logger()
	if s.StorageRaw == nil {
		s.storage = ctx.Storage()
	} else {
		module, err := ctx.LoadModule(s, "StorageRaw")
		if err != nil {
			return fmt.Errorf("load the storage: %w", err)
		}
		if s.storage, err = module.(caddy.StorageConverter).CertMagicStorage(); err != nil {
			return fmt.Errorf("create the storage: %w", err)
		}
	}
	return s.join(time.Now, clock.ForConfig().Now)
}

// join attaches the configuration to the state of its storage.
func (s *Storage) join(now, date func() time.Time) error {
	key := storagekey.Key(s.storage)
	value, _, err := nodes.LoadOrNew(key, func() (caddy.Destructor, error) { return newNode(now, date), nil })
	if err != nil {
		return err
	}
	s.node = value.(*node)
	s.node.attach(s)
	s.release = func() error {
		s.node.detach(s)
		_, err := nodes.Delete(key)
		return err
	}
	return nil
}

// Cleanup implements caddy.CleanerUpper. Requests in progress continue.
func (s *Storage) Cleanup() error {
	if s.release == nil {
		return nil
	}
	release := s.release
	s.release = nil
	return release()
}

// UnmarshalCaddyfile reads the options. Syntax:
//
//	store storage {
//		<storage module> ...
//		timeout <duration>
//	}
func (s *Storage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the store's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		parse := s.parseStorage
		if d.Val() == "timeout" {
			if err := seen.Once(d, "timeout"); err != nil {
				return err
			}
			parse = s.parseTimeout
		}
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Storage) parseTimeout(d *caddyfile.Dispenser) error {
	var timeout *caddy.Duration
	if err := caddyargs.DurationArg(d, &timeout); err != nil {
		return err
	}
	if *timeout == 0 {
		return d.Errf("timeout: '%s' is not a duration such as 2s", d.Val())
	}
	s.Timeout = *timeout
	return nil
}

// storages returns the names of the storage modules in this Caddy.
func storages() (names []string) {
	for _, module := range caddy.GetModules("caddy.storage") {
		names = append(names, module.ID.Name())
	}
	return names
}

func (s *Storage) parseStorage(d *caddyfile.Dispenser) error {
	name := d.Val()
	if s.StorageRaw != nil {
		return d.Errf("%s: there is a storage already", name)
	}
	id := "caddy.storage." + name
	if _, err := caddy.GetModule(id); err != nil {
		return suggest.Hint(d.Errf("unrecognized option '%s' of storage, and no storage module either", name), name, append(storages(), "timeout")...)
	}
	module, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	if _, ok := module.(caddy.StorageConverter); !ok {
		return d.Errf("%s is not a storage", name)
	}
	s.StorageRaw = caddyconfig.JSONModuleObject(module, "module", name, nil)
	return nil
}

// Storage implements store.OnStorage.
func (s *Storage) Storage() certmagic.Storage { return s.storage }

// Load implements store.Store, with copies that are at most two seconds old.
func (s *Storage) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	return s.node.load(ctx, keys)
}

// Reload implements store.Store.
func (s *Storage) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return s.node.reload(ctx, keys)
}

// Save implements store.Store.
func (s *Storage) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	return s.node.save(ctx, key, record, expires)
}

// Replace implements store.Store.
func (s *Storage) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	return s.node.replace(ctx, key, old, record, expires)
}

// Delete implements store.Store.
func (s *Storage) Delete(ctx context.Context, keys ...string) error {
	return s.node.delete(ctx, keys)
}

// Lock implements store.Store.
func (s *Storage) Lock(ctx context.Context, name string) (func(), error) {
	return s.node.lock(ctx, name)
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Storage)(nil)
	_ caddy.CleanerUpper    = (*Storage)(nil)
	_ caddyfile.Unmarshaler = (*Storage)(nil)
	_ store.Store           = (*Storage)(nil)
	_ store.OnStorage       = (*Storage)(nil)
)
