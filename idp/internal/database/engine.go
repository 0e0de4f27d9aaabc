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

// engine is what SQLite and PostgreSQL do differently.
type engine struct {
	name    string
	dialect goose.Dialect
	// locker lets one node at a time migrate; nil if there is only one.
	locker lock.SessionLocker

	view, update sql.TxOptions
	// locks are the statements that an Update begins with: at first, and after a
	// conflict.
	locks [2]string

	// patient are statements that let a transaction take its time.
	patient []string

	// groups is an expression: the names of the groups of the user in a row of
	// users, as a JSON array.
	groups string

	// isConflict reports whether a transaction failed because of another one, and
	// will do better if it runs again.
	isConflict func(error) bool
	// isStale reports whether a transaction did not begin because its connection
	// had ended before, so that another connection may do.
	isStale func(error) bool
	// isUnavailable reports whether the database as a whole does not answer.
	isUnavailable func(error) bool
}

// conflict is isConflict for an error that may have been wrapped.
func (e *engine) conflict(err error) bool { return err != nil && e.isConflict(err) }

// wrap turns an error of the driver into one of package store, where there is
// one for it.
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
