package database

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// column is a column of a row: its name, a pointer to scan into, and the value to write.
type column struct {
	name string
	to   any
	from any
}

func text[S ~string](name string, p *S) column { return column{name, p, string(*p)} }
func flag(name string, p *bool) column         { return column{name, p, *p} }
func data(name string, p *[]byte) column       { return column{name, p, *p} }
func number(name string, p *int) column        { return column{name, p, int64(*p)} }
func counter(name string, p *int64) column     { return column{name, p, *p} }

func moment(name string, p *time.Time) column { return column{name, (*momentScanner)(p), micros(*p)} }

func digest(name string, p *store.Hash) column { return column{name, (*digestScanner)(p), bytesOf(*p)} }

// object is a column that contains JSON.
func object[T any](name string, p *T) column {
	text, err := json.Marshal(*p)
	if err != nil { // the types are lists and maps of strings and times
		panic(err)
	}
	return column{name, &objectScanner{p}, string(text)}
}

// micros returns a time as it is stored.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// bytesOf returns a hash as it is stored: NULL for the zero hash.
func bytesOf(h store.Hash) []byte {
	if h == (store.Hash{}) {
		return nil
	}
	return h[:]
}

type momentScanner time.Time

func (s *momentScanner) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is kept as %T", v)
	}
	*s = momentScanner{}
	if n != 0 {
		*s = momentScanner(time.UnixMicro(n).UTC())
	}
	return nil
}

type digestScanner store.Hash

func (s *digestScanner) Scan(v any) error {
	b, ok := v.([]byte)
	if v != nil && (!ok || len(b) != len(s)) {
		return fmt.Errorf("a hash is kept as %T", v)
	}
	*s = digestScanner{}
	copy(s[:], b)
	return nil
}

type objectScanner struct{ to any }

func (s *objectScanner) Scan(v any) error {
	switch v := v.(type) {
	case string:
		return json.Unmarshal([]byte(v), s.to)
	case []byte:
		return json.Unmarshal(v, s.to)
	}
	return fmt.Errorf("JSON is kept as %T", v)
}

// table maps the rows of a table to a Go type. columns returns the columns, beginning
// with those of the primary key.
type table[T any] struct {
	name    string
	columns func(*T) []column
	list    string // the columns, for SELECT and RETURNING
	insert  string // does nothing if the row exists
	upsert  string
}

func newTable[T any](name string, keys int, columns func(*T) []column) *table[T] {
	var names, places, sets []string
	for i, c := range columns(new(T)) {
		names = append(names, c.name)
		places = append(places, fmt.Sprintf("$%d", i+1))
		if i >= keys {
			sets = append(sets, c.name+" = excluded."+c.name)
		}
	}
	t := &table[T]{name: name, columns: columns, list: strings.Join(names, ", ")}
	into := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT", name, t.list, strings.Join(places, ", "))
	t.insert = into + " DO NOTHING"
	t.upsert = fmt.Sprintf("%s (%s) DO UPDATE SET %s", into, strings.Join(names[:keys], ", "), strings.Join(sets, ", "))
	return t
}

func (t *table[T]) scan(rows *sql.Rows) (T, error) {
	var row T
	columns := t.columns(&row)
	to := make([]any, len(columns))
	for i, c := range columns {
		to[i] = c.to
	}
	err := rows.Scan(to...)
	return row, err
}

func (t *table[T]) values(row *T) []any {
	columns := t.columns(row)
	values := make([]any, len(columns))
	for i, c := range columns {
		values[i] = c.from
	}
	return values
}

// put inserts or updates a row.
func (t *table[T]) put(x *tx, row T) error {
	_, err := x.exec(t.upsert, t.values(&row)...)
	return err
}

// add inserts a row, or returns store.ErrExists.
func (t *table[T]) add(x *tx, row T) error {
	n, err := x.exec(t.insert, t.values(&row)...)
	if err == nil && n == 0 {
		return store.ErrExists
	}
	return err
}

// where returns the rows for which a condition holds. The condition may be followed by
// ORDER BY and LIMIT.
func (t *table[T]) where(x *tx, condition string, args ...any) ([]T, error) {
	return query(x, t.scan, "SELECT "+t.list+" FROM "+t.name+" WHERE "+condition, args...)
}

// one returns the row for which a condition holds, or store.ErrNotFound.
func (t *table[T]) one(x *tx, condition string, args ...any) (*T, error) {
	rows, err := t.where(x, condition, args...)
	return first(rows, err)
}

// take deletes and returns the row for which a condition holds, or returns
// store.ErrNotFound.
func (t *table[T]) take(x *tx, condition string, args ...any) (*T, error) {
	if x.readOnly {
		return nil, errReadOnly
	}
	rows, err := query(x, t.scan, "DELETE FROM "+t.name+" WHERE "+condition+" RETURNING "+t.list, args...)
	return first(rows, err)
}

func (t *table[T]) delete(x *tx, condition string, args ...any) error {
	_, err := x.exec("DELETE FROM "+t.name+" WHERE "+condition, args...)
	return err
}

func first[T any](rows []T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, store.ErrNotFound
	}
	return &rows[0], nil
}
