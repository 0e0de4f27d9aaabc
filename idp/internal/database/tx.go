package database

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// tx is a transaction. It implements store.Tx; the methods are in other files, by topic.
type tx struct {
	ctx      context.Context
	sql      statements
	engine   *engine
	readOnly bool
	failed   error // error of the first statement that failed
}

var _ store.Tx = (*tx)(nil)

// statements contains the methods of *sql.Tx that a transaction uses.
type statements interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

var (
	errReadOnly = errors.New("database: a transaction of View changes nothing")

	// errText is returned for text that PostgreSQL cannot store.
	errText = errors.New("database: text has to be UTF-8 without NUL")
)

// exec runs a statement and returns how many rows it changed.
func (x *tx) exec(statement string, args ...any) (int64, error) {
	if x.readOnly {
		return 0, errReadOnly
	}
	if !validText(args) {
		return 0, errText
	}
	result, err := x.sql.ExecContext(x.ctx, statement, args...)
	if err != nil {
		return 0, x.fail(err)
	}
	return result.RowsAffected()
}

// query returns the rows that a query finds. If an argument is text that cannot be
// stored, it finds none.
func query[T any](x *tx, scan func(*sql.Rows) (T, error), statement string, args ...any) ([]T, error) {
	if !validText(args) {
		return nil, nil
	}
	rows, err := x.sql.QueryContext(x.ctx, statement, args...)
	if err != nil {
		return nil, x.fail(err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	var all []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, x.fail(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, x.fail(err)
	}
	return all, nil
}

// values returns the values of the only column of a query.
func values[T any](x *tx, statement string, args ...any) ([]T, error) {
	return query(x, func(rows *sql.Rows) (v T, err error) {
		err = rows.Scan(&v)
		return v, err
	}, statement, args...)
}

// count returns the number that a query returns, such as SELECT count(*).
func count(x *tx, statement string, args ...any) (int, error) {
	n, err := first(values[int](x, statement, args...))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return *n, nil
}

func (x *tx) fail(err error) error {
	err = x.engine.wrap(x.ctx, err)
	if x.failed == nil {
		x.failed = err
	}
	return err
}

func validText(args []any) bool {
	for _, a := range args {
		if s, ok := a.(string); ok && (!utf8.ValidString(s) || strings.Contains(s, "\x00")) {
			return false
		}
	}
	return true
}

// cleanText replaces what cannot be stored in text that is only for display.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
