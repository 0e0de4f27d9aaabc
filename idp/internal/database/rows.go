package database

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// lasting are the tables included in a backup. Tables come after those that they refer
// to.
var lasting = []string{
	"users", "names", "groups", "memberships", "identities", "access_keys", "factors", "recovery_codes",
	"counters", "signing_keys", "settings",
}

// passing are the tables with data that expires. Backups do not include them.
var passing = []string{
	"sessions", "session_clients", "requests", "tickets", "grants", "retired_refresh_tokens", "tokens", "deliveries",
}

// Rows calls f with each row of each table, with values as the driver returns them: NULL,
// integers, booleans, text and bytes. It reads a consistent snapshot.
func (d *DB) Rows(ctx context.Context, f func(table string, columns []string, row []any) error) error {
	return d.raw(ctx, d.read, d.engine.view, func(x *tx) error {
		for _, list := range [][]string{lasting, passing} {
			for _, table := range list {
				if err := x.rows(table, f); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// raw runs f in one transaction that is limited only by its context.
func (d *DB) raw(ctx context.Context, pool *sql.DB, options sql.TxOptions, f func(*tx) error) error {
	inner, err := d.begin(ctx, pool, options)
	if err != nil {
		return err
	}
	defer inner.Rollback() //nolint:errcheck // without effect after a commit
	for _, statement := range d.engine.patient {
		if _, err := inner.ExecContext(ctx, statement); err != nil {
			return d.engine.wrap(ctx, err)
		}
	}
	if err := f(&tx{ctx: ctx, sql: inner, engine: d.engine, readOnly: options.ReadOnly}); err != nil {
		return err
	}
	if err := inner.Commit(); err != nil {
		return d.engine.wrap(ctx, err)
	}
	return nil
}

// rows calls f with each row of a table, ordered by its first two columns.
func (x *tx) rows(table string, f func(table string, columns []string, row []any) error) error {
	rows, err := x.sql.QueryContext(x.ctx, "SELECT * FROM "+table+" ORDER BY 1, 2")
	if err != nil {
		return x.fail(err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	columns, err := rows.Columns()
	if err != nil {
		return x.fail(err)
	}
	row, to := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		to[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return x.fail(err)
		}
		if err := f(table, columns, row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return x.fail(err)
	}
	return nil
}

// kinds returns the kind of each column of a table: "bool", "bytes", "text" or "number".
func (x *tx) kinds(table string) (map[string]string, error) {
	rows, err := x.sql.QueryContext(x.ctx, "SELECT * FROM "+table+" WHERE 1 = 0")
	if err != nil {
		return nil, x.fail(err)
	}
	defer rows.Close() //nolint:errcheck // there are none
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, x.fail(err)
	}
	kinds := make(map[string]string, len(types))
	for _, t := range types {
		switch name := strings.ToUpper(t.DatabaseTypeName()); name {
		case "BOOL":
			kinds[t.Name()] = "bool"
		case "BLOB", "BYTEA":
			kinds[t.Name()] = "bytes"
		case "TEXT":
			kinds[t.Name()] = "text"
		case "INTEGER", "INT8":
			kinds[t.Name()] = "number"
		default:
			return nil, fmt.Errorf("database: column %s.%s has the type %s", table, t.Name(), name)
		}
	}
	return kinds, rows.Err()
}
