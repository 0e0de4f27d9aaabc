package integration_test

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(faultyStorage{}) }

// faultyStorage is a Caddy storage with files in a folder, whose operations fail when a test
// says so.
//
//	storage faulty <folder> <name of its trouble>
type faultyStorage struct {
	Root string `json:"root"`
	Name string `json:"name"`
}

func (faultyStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.faulty", New: func() caddy.Module { return new(faultyStorage) }}
}

func (s *faultyStorage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&s.Root, &s.Name) {
		return d.ArgErr()
	}
	return nil
}

func (s *faultyStorage) CertMagicStorage() (certmagic.Storage, error) {
	files := &certmagic.FileStorage{Path: s.Root}
	return &faultyFiles{files, files, troubleNamed(s.Name)}, nil
}

// trouble is how the operations of a storage fail.
type trouble struct {
	mu          sync.Mutex
	read, write error
}

var allTrouble sync.Map

func troubleNamed(name string) *trouble {
	t, _ := allTrouble.LoadOrStore(name, new(trouble))
	return t.(*trouble)
}

// newTrouble returns the global option of a storage in a folder, and its trouble.
func newTrouble(folder string) (option string, t *trouble) {
	name := rand.Text()
	return "storage faulty " + folder + " " + name, troubleNamed(name)
}

// set sets the errors of reading and writing. nil means none.
func (t *trouble) set(read, write error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read, t.write = read, write
}

func (t *trouble) now() (read, write error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read, t.write
}

type faultyFiles struct {
	certmagic.Storage
	locks   certmagic.TryLocker
	trouble *trouble
}

func (f *faultyFiles) Store(ctx context.Context, key string, value []byte) error {
	if _, err := f.trouble.now(); err != nil {
		return err
	}
	return f.Storage.Store(ctx, key, value)
}

func (f *faultyFiles) Delete(ctx context.Context, key string) error {
	if _, err := f.trouble.now(); err != nil {
		return err
	}
	return f.Storage.Delete(ctx, key)
}

func (f *faultyFiles) Lock(ctx context.Context, name string) error {
	if _, err := f.trouble.now(); err != nil {
		return err
	}
	return f.Storage.Lock(ctx, name)
}

func (f *faultyFiles) TryLock(ctx context.Context, name string) (bool, error) {
	if _, err := f.trouble.now(); err != nil {
		return false, err
	}
	return f.locks.TryLock(ctx, name)
}

func (f *faultyFiles) Load(ctx context.Context, key string) ([]byte, error) {
	if err, _ := f.trouble.now(); err != nil {
		return nil, err
	}
	return f.Storage.Load(ctx, key)
}

func (f *faultyFiles) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	if err, _ := f.trouble.now(); err != nil {
		return nil, err
	}
	return f.Storage.List(ctx, path, recursive)
}

func (f *faultyFiles) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if err, _ := f.trouble.now(); err != nil {
		return certmagic.KeyInfo{}, err
	}
	return f.Storage.Stat(ctx, key)
}

var (
	_ caddy.StorageConverter = (*faultyStorage)(nil)
	_ caddyfile.Unmarshaler  = (*faultyStorage)(nil)
	_ certmagic.TryLocker    = (*faultyFiles)(nil)
)
