package list

import (
	"context"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory/directorytest"
)

func newContext(t *testing.T) caddy.Context {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return ctx
}

func TestList(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T, users ...directory.User) directory.Directory {
		l := new(List)
		for _, user := range users {
			l.Names = append(l.Names, strings.ReplaceAll(user.ID, "{", `\{`)) // escaped, so that it starts no placeholder
		}
		if err := l.Provision(newContext(t)); err != nil {
			t.Fatal(err)
		}
		return l
	})
}

func TestListsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		names    []string
		expected string
	}{
		{"no names", nil, "names: the list is empty"},
		{"an empty name", []string{"alice", ""}, "names: name 2 is empty"},
		{"a placeholder that is empty", []string{"{env.OIDC_RP_ABSENT}"}, "env.OIDC_RP_ABSENT"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := (&List{Names: row.names}).Provision(newContext(t))
			if err == nil || !strings.Contains(err.Error(), row.expected) {
				t.Errorf("expected the error %q, seen %v", row.expected, err)
			}
		})
	}
}
