package database

import (
	"context"
	"database/sql/driver"
)

// Most of the time that SQLite needs for a lookup it would spend on reading SQL,
// so each connection keeps what it has read. pgx does the same for PostgreSQL.

// maxStatements bounds what a connection keeps. There are about a hundred
// statements; lists of arguments make some more.
const maxStatements = 300

// sqliteConn is what a connection of the driver implements.
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

// sqliteStatement is what a statement of the driver implements.
type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparing makes connections that keep their statements.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparedConn{conn.(sqliteConn), make(map[string]sqliteStatement)}, nil
}

// preparedConn is a connection that keeps its statements. A statement must not
// run again before its rows are closed; the transactions of this package read
// all rows at once.
type preparedConn struct {
	sqliteConn
	kept map[string]sqliteStatement
}

// Unwrap returns the connection of the driver, which looks for it.
func (c *preparedConn) Unwrap() driver.Conn { return c.sqliteConn }

// prepared returns a statement that is kept, nil if there is none. Statements
// without arguments run once, as those of migrations, or are short.
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
		_ = s.Close() // Close of the connection has the error
	}
	return c.sqliteConn.Close()
}
