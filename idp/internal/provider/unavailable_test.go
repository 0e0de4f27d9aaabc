package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// deadStore is a database that is unavailable.
type deadStore struct{}

func (deadStore) View(context.Context, func(store.Tx) error) error {
	return fmt.Errorf("connection refused: %w", store.ErrUnavailable)
}

func (d deadStore) Update(ctx context.Context, f func(store.Tx) error) error { return d.View(ctx, f) }

// If the database is unavailable, the response is 503 with Retry-After, not an error that
// makes a client discard its tokens.
func TestADatabaseThatIsDownIsNoOnesMistake(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(browser{}, wikiRequest())
	got := n.redeemWiki(code)
	dead := nodeOn(t, n.db, n.clock)
	dead.Store = deadStore{}
	withToken := httptest.NewRequest(http.MethodGet, issuer+"/userinfo", nil)
	withToken.Header.Set("Authorization", "Bearer "+got.Access)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"a code":          dead.post("/token", redeemForm(code), basic("wiki", wikiKey)),
		"a refresh token": dead.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}, basic("wiki", wikiKey)),
		"a revocation":    dead.post("/revoke", url.Values{"token": {got.Refresh}}, basic("wiki", wikiKey)),
		"userinfo":        dead.serve(withToken),
	} {
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: expected 503 with Retry-After, seen %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
	keyless := nodeOn(t, n.db, n.clock)
	keyless.Keys.store = deadStore{}
	if w := keyless.serve(httptest.NewRequest(http.MethodGet, issuer+"/jwks", nil)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("jwks: expected 503, seen %d", w.Code)
	}
	if got := n.redeemWiki(n.code(browser{}, wikiRequest())); got.status != http.StatusOK {
		t.Errorf("expected tokens when it is back, seen %+v", got)
	}
}
