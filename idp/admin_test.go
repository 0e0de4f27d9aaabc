package oidcidp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// An admin API that others can reach causes one warning, when the first request shows the
// address it listens on.
func TestAnAdminAPIThatOthersMayReachIsWarnedOf(t *testing.T) {
	t.Parallel()
	for address, warns := range map[string]bool{
		"localhost:2019": false, "127.0.0.1:2019": false, "127.8.9.10:2019": false, "[::1]:2019": false, "unix//run/caddy.sock": false, "": false,
		":2019": true, "0.0.0.0:2019": true, "[::]:2019": true, "192.0.2.7:2019": true, "admin.example.com:2019": true, "localhost.example.com:2019": true,
	} {
		t.Run("at "+address, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			// The instance cannot open. The warning does not depend on that.
			a := &App{logger: slog.New(slog.NewJSONHandler(&log, nil)), adminSeen: new(sync.Once), instance: &instance{closed: true}}
			for range 2 {
				r := httptest.NewRequest(http.MethodPost, "/oidc_idp/user/list", strings.NewReader("{}"))
				r = r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, &http.Server{Addr: address}))
				if err := a.ServeAdmin(httptest.NewRecorder(), r); err == nil {
					t.Fatal("expected an error of what cannot open, seen none")
				}
			}
			if seen := strings.Count(log.String(), `"event":"config_warning"`); seen > 1 || (seen == 1) != warns {
				t.Errorf("expected a warning %v, seen %d in %s", warns, seen, log.String())
			}
		})
	}
}

func TestWhatTheAdminAPIRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		method, path string
		want         int
	}{
		"a path that there is not":  {http.MethodPost, "/oidc_idp/user/fly", http.StatusNotFound},
		"another method":            {http.MethodGet, "/oidc_idp/user/list", http.StatusMethodNotAllowed},
		"a backup by POST":          {http.MethodPost, "/oidc_idp/backup", http.StatusMethodNotAllowed},
		"a restore by GET":          {http.MethodGet, "/oidc_idp/restore", http.StatusMethodNotAllowed},
		"an acceptance by GET":      {http.MethodGet, "/oidc_idp/accept-issuer", http.StatusMethodNotAllowed},
		"a Caddy without oidc_idp":  {http.MethodPost, "/oidc_idp/user/list", http.StatusServiceUnavailable},
		"the same for what is else": {http.MethodPost, "/oidc_idp/accept-issuer", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := (*App)(nil).ServeAdmin(httptest.NewRecorder(), httptest.NewRequest(row.method, row.path, nil))
			if seen := statusOf(err); seen != row.want {
				t.Errorf("expected %d, seen %d: %v", row.want, seen, err)
			}
		})
	}
}

// statusOf returns the status that Caddy responds with.
func statusOf(err error) int {
	var api caddy.APIError
	if errors.As(err, &api) {
		return api.HTTPStatus
	}
	return http.StatusInternalServerError
}
