package directorytest

import (
	"context"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
)

// reference is the simplest directory that fulfills the contract.
type reference map[string]bool

func (r reference) Knows(ctx context.Context, user directory.User) (bool, error) {
	return r[user.ID], context.Cause(ctx)
}

func TestTheSuiteAcceptsWhatKeepsTheContract(t *testing.T) {
	t.Parallel()
	Run(t, func(_ *testing.T, users ...directory.User) directory.Directory {
		known := make(reference)
		for _, user := range users {
			known[user.ID] = true
		}
		return known
	})
}
