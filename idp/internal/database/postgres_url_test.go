package database

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestPasswordOfTheServerIsInNoErrorAndNoLog(t *testing.T) {
	t.Parallel()
	const unreadable, unreachable = false, true
	for _, c := range []struct {
		url         string
		unavailable bool
	}{
		{"postgres://idp:canary@127.0.0.1:1/idp", unreachable},
		{"postgresql://idp:canary@127.0.0.1:1/idp?connect_timeout=1", unreachable},
		{"postgres://127.0.0.1:1/idp?user=idp&password=canary", unreachable},
		{"postgres://idp:canary@canary.invalid:1/idp", unreachable},
		{"postgres://idp:canary@127.0.0.1:port/idp", unreadable},
		{"postgres://idp:can/canary@127.0.0.1:1/idp", unreadable},
		{"postgres://idp:can#canary@127.0.0.1:1/idp", unreachable},
		{"postgres://idp:can%canary@127.0.0.1:1/idp", unreachable},
		{"postgres://idp:canary@127.0.0.1:1/idp?sslmode=canary", unreadable},
		{"postgres://idp:canary@127.0.0.1:1/idp?connect_timeout=canary", unreadable},
		{"postgres://idp:canary@[::1/idp", unreadable},
		{"mysql://idp:canary@127.0.0.1/idp", unreadable},
		{"host=127.0.0.1 password=canary", unreadable},
		{"canary", unreadable},
		{"", unreadable},
	} {
		var log bytes.Buffer
		_, err := Open(t.Context(), Options{Postgres: c.url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			t.Errorf("%s: expected an error, seen none", c.url)
			continue
		}
		if got := errors.Is(err, store.ErrUnavailable); got != c.unavailable {
			t.Errorf("%s: expected unavailable to be %v, seen %v", c.url, c.unavailable, err)
		}
		text := strings.ReplaceAll(err.Error()+log.String(), "canary.invalid", "the host")
		if strings.Contains(text, "canary") {
			t.Errorf("%s: expected no password, seen %q", c.url, text)
		}
	}
}
