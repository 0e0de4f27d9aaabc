package knownusers

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
)

// answer is a directory that always gives the same answer.
type answer struct {
	known bool
	err   error
}

func (a answer) Knows(context.Context, directory.User) (bool, error) { return a.known, a.err }

var errDown = errors.New("it is down")

func TestKnownToOneIsKnown(t *testing.T) {
	t.Parallel()
	entry := func(a answer, providers ...string) Entry { return Entry{"test", a, providers} }
	knows, lacks, down := answer{known: true}, answer{}, answer{err: errDown}
	for _, row := range []struct {
		name        string
		directories Directories
		known       bool
		err         error
	}{
		{"no directory", nil, true, nil},
		{"the only one knows", Directories{entry(knows)}, true, nil},
		{"the only one does not", Directories{entry(lacks)}, false, nil},
		{"the only one is down", Directories{entry(down)}, false, errDown},
		{"the second one knows", Directories{entry(lacks), entry(knows)}, true, nil},
		{"the second one knows while the first is down", Directories{entry(down), entry(knows)}, true, nil},
		{"the second one is down and the first does not know", Directories{entry(lacks), entry(down)}, false, errDown},
		{"it is for users of the provider", Directories{entry(knows, "partners", "corp")}, true, nil},
		{"it is for users of another provider", Directories{entry(knows, "partners")}, false, nil},
		{"the one that is down is for users of another provider", Directories{entry(lacks), entry(down, "partners")}, false, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			known, err := row.directories.Know(t.Context(), User{ID: "alice", Provider: "corp"})
			if known != row.known {
				t.Errorf("expected known %t, seen %t", row.known, known)
			}
			if !errors.Is(err, row.err) {
				t.Errorf("expected the error %v, seen %v", row.err, err)
			}
		})
	}
}
