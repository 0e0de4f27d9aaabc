// Package database implements package store with SQLite and PostgreSQL. It contains the
// rows, the SQL, and the differences between the two engines. It contains no rules about
// accounts, and no keys: secrets are hashed or sealed by its callers.
//
// Times are stored as microseconds since 1970 in UTC, and the zero time as 0. Both
// engines thus store and compare the same numbers. Times that are read are truncated to
// microseconds.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Options select and configure a database, which is a file or on a server.
type Options struct {
	// SQLite is the path of the database file. The file and its folder are created if
	// they do not exist.
	SQLite string
	// Postgres is the URL of a PostgreSQL database. It is used if SQLite is empty. As it
	// may contain a password, it never appears in errors or logs.
	Postgres string
	// Timeout limits the duration of a transaction. Default: 10 seconds.
	Timeout time.Duration
	// Logger logs events that do not belong to a request. Default: slog.Default().
	Logger *slog.Logger
	// NoSync lets SQLite commit without waiting for the disk, which makes tests faster.
	// The file can then be destroyed by a power failure.
	NoSync bool
}

// DB is a database. It implements store.Store.
type DB struct {
	engine  *engine
	write   *sql.DB // for Update
	read    *sql.DB // for View, so that writers cannot take all connections
	timeout time.Duration
	logger  *slog.Logger

	migrations fs.FS // those of the program, except in tests
	closed     atomic.Bool
}

var _ store.Store = (*DB)(nil)

// Open opens a database and migrates it to the version of this program. If the database
// does not respond, the error wraps store.ErrUnavailable, and the caller may try again
// later.
func Open(ctx context.Context, options Options) (*DB, error) {
	return open(ctx, options, migrations)
}

func open(ctx context.Context, options Options, migrations fs.FS) (*DB, error) {
	d := &DB{timeout: options.Timeout, logger: options.Logger, migrations: migrations}
	if d.timeout <= 0 {
		d.timeout = 10 * time.Second
	}
	if d.logger == nil {
		d.logger = slog.Default()
	}
	openEngine := openPostgres
	if options.SQLite != "" {
		openEngine = openSQLite
	}
	if err := openEngine(d, options); err != nil {
		return nil, err
	}
	if err := d.migrate(ctx, 0); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Close waits for running transactions and closes all connections.
func (d *DB) Close() error {
	d.closed.Store(true)
	return errors.Join(d.write.Close(), d.read.Close())
}

// View implements store.Store.
func (d *DB) View(ctx context.Context, f func(store.Tx) error) error {
	return d.run(ctx, d.read, d.engine.view, [2]string{}, f)
}

// Update implements store.Store.
func (d *DB) Update(ctx context.Context, f func(store.Tx) error) error {
	return d.run(ctx, d.write, d.engine.update, d.engine.locks, f)
}

// maxAttempts is the maximum number of times that f runs. From the second attempt on, an
// Update excludes all other Updates, so more than two attempts are needed only if
// something else writes to the database.
const maxAttempts = 8

// run calls f in a transaction, again if it conflicts with another one. locks are the
// statements that begin the first and all later attempts.
func (d *DB) run(ctx context.Context, pool *sql.DB, options sql.TxOptions, locks [2]string, f func(store.Tx) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errTimeout)
	defer cancel()
	lock := locks[0]
	for n := 1; ; n++ {
		again, err := d.attempt(ctx, pool, options, lock, f)
		if !again {
			return err
		}
		if n == maxAttempts {
			return fmt.Errorf("%w: gave up after %d conflicts with other transactions: %w", store.ErrUnavailable, n, err)
		}
		lock = locks[1]
		select {
		case <-time.After(rand.N(time.Duration(n) * 5 * time.Millisecond)):
		case <-ctx.Done():
			return d.engine.wrap(ctx, ctx.Err())
		}
	}
}

// errTimeout is the cause if a context ends because of Options.Timeout.
var errTimeout = errors.New("the transaction took too long")

// attempt runs f in one transaction. It reports whether a conflict with another
// transaction requires f to be run again.
func (d *DB) attempt(ctx context.Context, pool *sql.DB, options sql.TxOptions, lock string, f func(store.Tx) error) (again bool, err error) {
	inner, err := d.begin(ctx, pool, options)
	if err != nil {
		return false, err
	}
	defer inner.Rollback() //nolint:errcheck // without effect after a commit
	t := &tx{ctx: ctx, sql: inner, engine: d.engine, readOnly: options.ReadOnly}
	if lock != "" {
		if _, err := inner.ExecContext(ctx, lock); err != nil {
			return d.engine.conflict(err), d.engine.wrap(ctx, err)
		}
	}
	err = f(t)
	if t.failed != nil {
		// A statement failed, so the transaction cannot be committed even if f ignored
		// the error.
		if err == nil || d.engine.conflict(t.failed) {
			err = t.failed
		}
		return d.engine.conflict(t.failed), err
	}
	if err != nil {
		return false, err
	}
	if err := inner.Commit(); err != nil {
		return d.engine.conflict(err), d.engine.wrap(ctx, err)
	}
	return false, nil
}

func (d *DB) begin(ctx context.Context, pool *sql.DB, options sql.TxOptions) (*sql.Tx, error) {
	if d.closed.Load() {
		return nil, fmt.Errorf("%w: it was closed", store.ErrUnavailable)
	}
	inner, err := pool.BeginTx(ctx, &options)
	for n := 0; n < postgresConns && err != nil && d.engine.isStale(err); n++ {
		inner, err = pool.BeginTx(ctx, &options)
	}
	if err != nil {
		return nil, d.engine.wrap(ctx, err)
	}
	return inner, nil
}
