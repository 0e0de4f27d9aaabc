package database

import (
	"context"
	"database/sql/driver"
)

// SQLite would spend most of the time for a lookup on parsing SQL. Therefore each
// connection keeps prepared statements, as pgx does for PostgreSQL.

// maxStatements limits the statements that a connection keeps. There are about a hundred,
// and some more because of lists of arguments with different lengths.
const maxStatements = 300

// sqliteConn lists the interfaces that connections of the driver implement.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStatement lists the interfaces that statements of the driver implement.
type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparing is a connector whose connections keep prepared statements.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparedConn{conn.(sqliteConn), make(map[string]sqliteStatement)}, nil
}

// preparedConn is a connection that keeps prepared statements. A statement must not run
// again before its rows are closed. Transactions of this package always read all rows at
// once.
type preparedConn struct {
	sqliteConn
	kept map[string]sqliteStatement
}

// Unwrap returns the driver's connection, for the driver.
func (c *preparedConn) Unwrap() driver.Conn { return c.sqliteConn }

// prepared returns the kept statement for a query, and prepares it if necessary. It
// returns nil for queries that are not kept: those without arguments, which run only
// once, as in migrations, or are short, and any beyond maxStatements.
func (c *preparedConn) prepared(ctx context.Context, query string, args []driver.NamedValue) (sqliteStatement, error) {
	if s := c.kept[query]; s != nil || len(args) == 0 || len(c.kept) == maxStatements {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.kept[query] = s.(sqliteStatement)
	return c.kept[query], nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepared(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepared(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	return s.QueryContext(ctx, args)
}

// Close implements driver.Conn.
func (c *preparedConn) Close() error {
	for _, s := range c.kept {
		_ = s.Close() // closing the connection reports the error
	}
	return c.sqliteConn.Close()
}
