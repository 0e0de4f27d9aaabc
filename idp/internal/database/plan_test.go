package database

import (
	"context"
	"database/sql"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// recorder records the statements of a transaction.
type recorder struct {
	statements
	seen map[string]int // statements and the number of their arguments
}

func (r *recorder) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r.seen[query] = len(args)
	return r.statements.ExecContext(ctx, query, args...)
}

func (r *recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.seen[query] = len(args)
	return r.statements.QueryContext(ctx, query, args...)
}

// argument returns a value for a parameter of a method of store.Tx.
func argument(t reflect.Type) reflect.Value {
	switch t.Kind() {
	case reflect.String:
		return reflect.ValueOf("u1").Convert(t)
	case reflect.Int:
		return reflect.ValueOf(1)
	case reflect.Pointer:
		return reflect.New(t.Elem())
	case reflect.Slice:
		return reflect.Append(reflect.MakeSlice(t, 0, 1), argument(t.Elem()))
	case reflect.Array:
		h := reflect.New(t).Elem()
		h.Index(0).SetUint(1)
		return h
	}
	if t == reflect.TypeFor[store.Factor]() {
		return reflect.ValueOf(store.Factor{CredentialID: []byte{1}})
	}
	if t == reflect.TypeFor[store.Grant]() {
		return reflect.ValueOf(store.Grant{ID: "g", Retired: []store.Hash{{1}}})
	}
	return reflect.Zero(t)
}

// whole matches statements that may read a whole table or index: lists of all rows, lists
// of users, and statements that run only every few minutes.
var whole = regexp.MustCompile(`FROM (groups|signing_keys) WHERE 1 = 1|FROM users WHERE .*ORDER BY sort_key|^SELECT count\(\*\) FROM users|^SELECT DISTINCT substr\(password_hash`)

func TestStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	db, err := openFile(t, filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := db.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Rollback() //nolint:errcheck // nothing of it stays
	seen := &recorder{inner, map[string]int{}}
	x := reflect.ValueOf(&tx{ctx: t.Context(), sql: seen, engine: db.engine})
	contract := reflect.TypeFor[store.Tx]()
	for i := range contract.NumMethod() {
		method := x.MethodByName(contract.Method(i).Name)
		args := make([]reflect.Value, method.Type().NumIn())
		for i := range args {
			args[i] = argument(method.Type().In(i))
		}
		if method.Type().IsVariadic() {
			method.CallSlice(args)
		} else {
			method.Call(args)
		}
	}
	if len(seen.seen) < 60 {
		t.Errorf("expected statements of all methods, seen %d", len(seen.seen))
	}
	for statement, args := range seen.seen {
		if whole.MatchString(statement) {
			continue
		}
		rows, err := inner.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement, make([]any, args)...)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN") && !strings.HasPrefix(detail, "SCAN (subquery") {
				t.Errorf("%s\nexpected indexes alone, seen %s", statement, detail)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
