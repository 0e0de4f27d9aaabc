package op

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

func sealKeys(t *testing.T, letters ...string) *seal.Ring {
	t.Helper()
	var secrets [][]byte
	for _, letter := range letters {
		secrets = append(secrets, []byte(strings.Repeat(letter, seal.MinSecret)))
	}
	ring, err := seal.NewRing(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func sealedStore(t *testing.T, memory *clustertest.Memory) *SealedStore {
	t.Helper()
	storage := struct {
		*clustertest.Memory
		clustertest.Unlocked
	}{Memory: memory}
	return &SealedStore{
		Storage: func() clusterstore.Storage { return storage }, Keys: seal.Fixed{Keys: sealKeys(t, "a")},
		Options: "0123", Issuer: "https://login.example.com",
	}
}

// The storage key is fixed, so that an upgrade finds what an earlier release stored.
func TestDocumentsAreStoredSealed(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewMemory()
	s := sealedStore(t, storage)
	document := []byte(`{"issuer":"https://login.example.com"}`)
	if err := s.Store(t.Context(), "metadata", document); err != nil {
		t.Fatal(err)
	}
	sealed, ok := storage.Files["oidc_rp/providers/0123.metadata"]
	if !ok {
		t.Fatalf("the storage has %q, expected oidc_rp/providers/0123.metadata", storage.Keys())
	}
	if bytes.Contains(sealed, []byte("issuer")) {
		t.Errorf("the storage can read the document: %s", sealed)
	}
	if got, err := s.Load(t.Context(), "metadata"); err != nil || !bytes.Equal(got, document) {
		t.Errorf("got %s and the error %v, expected %s", got, err, document)
	}
}

func TestDocumentsThatCountAsNone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*SealedStore, *clustertest.Memory){
		"absent":           func(_ *SealedStore, m *clustertest.Memory) { clear(m.Files) },
		"of other options": func(s *SealedStore, m *clustertest.Memory) { s.Options = "4567"; rename(m, "4567.metadata") },
		"of another part":  func(_ *SealedStore, m *clustertest.Memory) { rename(m, "0123.keys") },
		"of an issuer":     func(s *SealedStore, _ *clustertest.Memory) { s.Issuer = "https://evil.example" },
		"of other keys":    func(s *SealedStore, _ *clustertest.Memory) { s.Keys = seal.Fixed{Keys: sealKeys(t, "b")} },
		"not sealed":       func(_ *SealedStore, m *clustertest.Memory) { m.Files["oidc_rp/providers/0123.metadata"] = []byte("{}") },
		"too large": func(_ *SealedStore, m *clustertest.Memory) {
			m.Files["oidc_rp/providers/0123.metadata"] = make([]byte, maxSealed+1)
		},
	} {
		storage := clustertest.NewMemory()
		s := sealedStore(t, storage)
		if err := s.Store(t.Context(), "metadata", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		change(s, storage)
		part := "metadata"
		if name == "of another part" {
			part = "keys"
		}
		if got, err := s.Load(t.Context(), part); got != nil || err != nil {
			t.Errorf("%s: got %s and the error %v, expected neither", name, got, err)
		}
	}
}

// A truncated document counts as none, and the next one that is stored is complete.
//
// See docs/faults.md, row F33.
func TestADocumentThatWasCutShort(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewMemory()
	s := sealedStore(t, storage)
	if err := s.Store(t.Context(), "keys", []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	name := storage.Keys()[0]
	whole := storage.Files[name]
	for length := range whole {
		storage.With(func(m *clustertest.Memory) { m.Files[name] = whole[:length] })
		if got, err := s.Load(t.Context(), "keys"); got != nil || err != nil {
			t.Errorf("cut to %d bytes: expected neither a document nor an error, seen %s and %v", length, got, err)
		}
	}
	if err := s.Store(t.Context(), "keys", []byte(`{"a":2}`)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(t.Context(), "keys"); string(got) != `{"a":2}` || err != nil {
		t.Errorf("stored again: expected the document, seen %s and %v", got, err)
	}
}

// rename renames the only file in the folder of documents.
func rename(m *clustertest.Memory, name string) {
	for key, content := range m.Files {
		delete(m.Files, key)
		m.Files["oidc_rp/providers/"+name] = content
	}
}

// rotatedKeys has a new key, created by another instance, only after it is renewed.
type rotatedKeys struct{ before, after *seal.Ring }

func (k rotatedKeys) Ring(context.Context) (*seal.Ring, error)    { return k.before, nil }
func (k rotatedKeys) Renewed(context.Context) (*seal.Ring, error) { return k.after, nil }

func TestDocumentsByAnotherInstancesNewKey(t *testing.T) {
	t.Parallel()
	s := sealedStore(t, clustertest.NewMemory())
	s.Keys = seal.Fixed{Keys: sealKeys(t, "n", "a")}
	if err := s.Store(t.Context(), "keys", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.Keys = rotatedKeys{before: sealKeys(t, "a"), after: sealKeys(t, "n", "a")}
	if got, err := s.Load(t.Context(), "keys"); err != nil || string(got) != "{}" {
		t.Errorf("got %q and the error %v, expected {}", got, err)
	}
}

func TestStorageOfDocumentsThatFails(t *testing.T) {
	t.Parallel()
	storage := clustertest.NewMemory()
	s := sealedStore(t, storage)
	storage.With(func(m *clustertest.Memory) { m.Down = clustertest.ErrDown })
	if _, err := s.Load(t.Context(), "keys"); !errors.Is(err, clustertest.ErrDown) {
		t.Errorf("Load: got the error %v, expected that of the storage", err)
	}
	if err := s.Store(t.Context(), "keys", []byte("{}")); !errors.Is(err, clustertest.ErrDown) {
		t.Errorf("Store: got the error %v, expected that of the storage", err)
	}
}
