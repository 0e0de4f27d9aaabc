package database

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// postgresConns is the maximum number of connections of each of the two pools, for
// writing and for reading.
const postgresConns = 8

// Update runs at isolation level SERIALIZABLE. The table writers is empty and exists only
// to be locked. At first, an Update locks it in a mode that allows other Updates to run
// at the same time; after a conflict, it locks it exclusively. The lock is taken before
// the first query, whose snapshot therefore includes everything that others have
// committed. So the second attempt does not conflict with other nodes, however many there
// are. The lock ends with the transaction, which also works with connection poolers.
var postgresEngine = &engine{
	name:    "postgres",
	dialect: goose.DialectPostgres,
	locker:  migrationLock{},
	view:    sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	update:  sql.TxOptions{Isolation: sql.LevelSerializable},
	locks:   [2]string{`LOCK TABLE writers IN ROW EXCLUSIVE MODE`, `LOCK TABLE writers IN EXCLUSIVE MODE`},
	patient: []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL idle_in_transaction_session_timeout = 0`},
	groups: `(SELECT coalesce(json_agg(group_name ORDER BY group_name), '[]')::text FROM memberships
		WHERE user_id = users.id)`,
	isConflict: func(err error) bool {
		var e *pgconn.PgError
		if !errors.As(err, &e) {
			return false
		}
		switch e.Code {
		case "40001", "40P01", // serialization failure, deadlock
			"0A000": // a query that was prepared before another node migrated
			return true
		}
		return false
	},
	isStale: func(err error) bool {
		var e *pgconn.PgError
		if errors.As(err, &e) {
			return e.Code == "57P01" // sent by the server when it shut down
		}
		var refused *pgconn.ConnectError
		return !errors.As(err, &refused) && pgconn.SafeToRetry(err)
	},
	isUnavailable: func(err error) bool {
		var e *pgconn.PgError
		if !errors.As(err, &e) {
			return true // errors that do not come from the server are about the connection
		}
		switch e.Code {
		case "25006", "25P03", "55P03", "57014": // the server has become a replica; timeouts
			return true
		}
		// Classes: connection, authorization, no such database, resources, operator
		// intervention, system, internal.
		switch e.Code[:min(2, len(e.Code))] {
		case "08", "28", "3D", "53", "57", "58", "XX":
			return true
		}
		return false
	},
}

// openPostgres prepares connections to a server. The error of the URL parser is not
// shown, because it may contain parts of the URL, including the password.
func openPostgres(d *DB, options Options) error {
	config, err := postgresConfig(options.Postgres)
	if err != nil {
		return err
	}
	d.engine = postgresEngine
	d.write, d.read = pool(config), pool(config)
	return nil
}

// postgresConfig parses the URL of a database.
func postgresConfig(address string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil || !strings.HasPrefix(address, "postgres") {
		return nil, errors.New("database: not the URL of a PostgreSQL database; expected postgres://user:password@host:port/name, " +
			"with / ? # @ and % in the password percent-encoded")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "oidc_idp"
	}
	return config, nil
}

// setUp prepares a connection with time limits, so that a node that disappears during a
// transaction does not block others for long. Limits in the URL take precedence. They are
// not set as startup parameters because connection poolers reject unknown ones.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	for _, timeout := range []struct{ name, value string }{
		{"idle_in_transaction_session_timeout", "10s"},
		{"statement_timeout", "30s"},
	} {
		if _, ok := conn.Config().RuntimeParams[timeout.name]; ok {
			continue
		}
		if _, err := conn.Exec(ctx, "SET "+timeout.name+" = '"+timeout.value+"'"); err != nil {
			return err
		}
	}
	return nil
}

func pool(config *pgx.ConnConfig) *sql.DB {
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(setUp))
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	return db
}

// migrationLock lets only one node at a time migrate a schema. Others wait.
type migrationLock struct{}

// migrationLockID is the first half of the key of an advisory lock. The second half is
// derived from the schema.
const migrationLockID = 0x6f696470

func (migrationLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1, hashtext(current_schema()))", migrationLockID)
	return err
}

func (migrationLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1, hashtext(current_schema()))", migrationLockID)
	return err
}
