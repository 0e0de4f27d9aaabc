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

// Storage is the storage of a configuration.
type Storage struct {
	clusterstore.Storage
	// Kind is the name of its module, and Folder where it is, of one that is a folder.
	Kind, Folder string
	// Missing reports whether the folder is not there. Then nothing is tried: the user
	// who runs Caddy has to own it.
	Missing bool
}

// Examine writes, reads and deletes a key of its own.
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

// probe writes a key that nothing else uses.
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
