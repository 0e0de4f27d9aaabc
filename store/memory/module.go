package memory

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func init() { caddy.RegisterModule(Memory{}) }

// Memory keeps sessions in the memory of this process, shared by all sites that use
// this store. They survive configuration reloads but not restarts, and are not
// shared with other nodes.
type Memory struct {
	// The maximum number of records: one for each session, and a small one for each
	// logout. Beyond that, those that expire first are dropped. A typical session
	// takes about 1 KB. Sites share the memory, and the largest number applies.
	// Default: `1000000`.
	MaxRecords int `json:"max_records,omitempty"`

	logger  *zap.Logger
	memory  *memory
	release func() error
}

// CaddyModule returns the module's registration.
func (Memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: store.Namespace + ".memory", New: func() caddy.Module { return new(Memory) }}
}

// memories holds the shared memory while a configuration uses it.
var memories = caddy.NewUsagePool()

const theMemory = "memory"

// Provision implements caddy.Provisioner.
func (m *Memory) Provision(ctx caddy.Context) error {
	if m.MaxRecords < 0 {
		return fmt.Errorf("max_records: %d is less than 1", m.MaxRecords)
	}
	if m.MaxRecords == 0 {
		m.MaxRecords = defaultMax
	}
	m.logger = ctx.Logger()
	value, _, err := memories.LoadOrNew(theMemory, func() (caddy.Destructor, error) { return newMemory(time.Now), nil })
	if err != nil {
		return err
	}
	m.memory = value.(*memory)
	m.memory.attach(m)
	m.release = func() error {
		m.memory.detach(m)
		_, err := memories.Delete(theMemory)
		return err
	}
	return nil
}

// Cleanup implements caddy.CleanerUpper. Requests in progress continue.
func (m *Memory) Cleanup() error {
	if m.release == nil {
		return nil
	}
	release := m.release
	m.release = nil
	return release()
}

// UnmarshalCaddyfile reads the options. Syntax:
//
//	store memory {
//		max_records <number>
//	}
func (m *Memory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the store's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return caddyargs.Block(d, "memory", caddyargs.Options{
		"max_records": func() error {
			return caddyargs.IntArg(d, &m.MaxRecords, 1, math.MaxInt, "is not a number from 1 on")
		},
	})
}

// Load implements store.Store.
func (m *Memory) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	return m.memory.load(ctx, keys)
}

// Reload implements store.Store. It is Load, since there are no copies.
func (m *Memory) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return m.memory.load(ctx, keys)
}

// Save implements store.Store.
func (m *Memory) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	return m.memory.save(ctx, key, record, expires)
}

// Replace implements store.Store.
func (m *Memory) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	return m.memory.replace(ctx, key, old, record, expires)
}

// Delete implements store.Store.
func (m *Memory) Delete(ctx context.Context, keys ...string) error {
	return m.memory.delete(ctx, keys)
}

// Version implements store.Versioned. Every change increments it, and records are
// only dropped when another one is saved.
func (m *Memory) Version() uint64 { return m.memory.version.Load() }

// Lock implements store.Store with locks of this process.
func (m *Memory) Lock(ctx context.Context, name string) (func(), error) {
	unlock, err := m.memory.locks.Lock(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("session store memory: lock: %w", err)
	}
	return unlock, nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Memory)(nil)
	_ caddy.CleanerUpper    = (*Memory)(nil)
	_ caddyfile.Unmarshaler = (*Memory)(nil)
	_ store.Store           = (*Memory)(nil)
	_ store.Versioned       = (*Memory)(nil)
)
