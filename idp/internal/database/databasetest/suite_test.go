package databasetest_test

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	databasetest.Run(t, func(t testing.TB) store.Store { return databasetest.New(t) })
}
