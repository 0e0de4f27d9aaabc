package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// engine contains the differences between SQLite and PostgreSQL.
type engine struct {
	name    string
	dialect goose.Dialect
	// locker ensures that only one node at a time migrates. It is nil for SQLite.
	locker lock.SessionLocker

	view, update sql.TxOptions
	// locks are the statements that begin an Update: at the first attempt, and after a
	// conflict.
	locks [2]string

	// patient are the statements that lift time limits for a transaction.
	patient []string

	// groups is an SQL expression for the group names of the user in a row of users, as a
	// JSON array.
	groups string

	// isConflict reports whether a transaction failed because of another one, and should
	// be run again.
	isConflict func(error) bool
	// isStale reports whether a transaction could not begin because its connection had
	// already ended, so another connection should be tried.
	isStale func(error) bool
	// isUnavailable reports whether the whole database does not respond.
	isUnavailable func(error) bool
}

// conflict reports whether err is not nil and a conflict.
func (e *engine) conflict(err error) bool { return err != nil && e.isConflict(err) }

// wrap wraps an error of the driver. If the database does not respond, the result also
// wraps store.ErrUnavailable.
func (e *engine) wrap(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errTimeout), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	case ctx.Err() != nil:
		return fmt.Errorf("database: %w", context.Cause(ctx))
	case e.isUnavailable(err):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return fmt.Errorf("database: %w", err)
}
