package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// Storage is Caddy's storage, as configured.
type Storage struct {
	clusterstore.Storage
	// Kind is the name of its module. Folder is its path if it is a folder.
	Kind, Folder string
	// Missing reports whether the folder does not exist. It is then not created for a
	// trial, because it must belong to the user that runs Caddy.
	Missing bool
}

// Examine reports whether the storage works, by writing, reading and deleting a
// key.
func (s *Storage) Examine(ctx context.Context) Check {
	e := new(Examination)
	const name = "storage"
	what := s.Kind
	shared := "several nodes have to share it"
	if s.Folder != "" {
		what += " " + s.Folder
		shared = "several nodes have to share the folder, or use another storage"
	}
	if s.Missing {
		e.info(name, what+" is not there yet; Caddy makes it. Run this as the user who runs Caddy: others have another folder")
		return e.Checks[0]
	}
	_, err := bounded.Within(ctx, within, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.probe(ctx) })
	if err != nil {
		e.fail(name, fmt.Sprintf("%s: %v", what, err), "Sessions, logouts and keys are kept there. Run this as the user that runs Caddy, who must be able to write there.")
		return e.Checks[0]
	}
	e.ok(name, what+" can be written; "+shared)
	return e.Checks[0]
}

// probe writes, reads and deletes a key that nothing else uses.
func (s *Storage) probe(ctx context.Context) (err error) {
	key := "oidc_rp_check_" + rand.Text()
	value := []byte(key)
	if err := s.Store(ctx, key, value); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	defer func() {
		if removed := s.Delete(context.WithoutCancel(ctx), key); removed != nil && !errors.Is(removed, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("%s cannot be deleted: %w", key, removed)
		}
	}()
	read, err := s.Load(ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be read: %w", err)
	case !bytes.Equal(read, value):
		return errors.New("does not return what was written")
	}
	return nil
}
