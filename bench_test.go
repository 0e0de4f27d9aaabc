package oidcrp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// BenchmarkRequest is what the guard adds to a request, over the next handler
// that every case calls: compare the cases with «next handler alone». Nothing
// remembers opened sessions between requests.
func BenchmarkRequest(b *testing.B) {
	for _, bench := range []struct {
		name  string
		size  int // of the cookies' values, in bytes; 0 is no session
		guard bool
		site  string
	}{
		{"next handler alone", 1024, false, "private"},
		{"signed in, 1 KiB", 1024, true, "private"},
		{"signed in, 4 KiB", 4096, true, "private"},
		{"anonymous, public", 0, true, "public"},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkRequest(b, bench.size, bench.guard, bench.site) })
	}
}

func benchmarkRequest(b *testing.B, size int, guard bool, mode string) {
	h := benchHandler(b, mode)
	template := httptest.NewRequest(http.MethodGet, rpURL+"/reports/2026", nil)
	for name, value := range navigation {
		template.Header.Set(name, value)
	}
	if size > 0 {
		template.Header.Set("Cookie", "theme=dark; "+benchSession(b, h, size)+"; lang=en")
	}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	var handler caddyhttp.Handler = next
	if guard {
		handler = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) })
	}
	server := new(caddyhttp.Server)
	const batch = 256
	var writers [batch]*httptest.ResponseRecorder
	var requests [batch]*http.Request
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if i%batch == 0 { // what Caddy makes for each request is not on our clock
			b.StopTimer()
			for j := range requests {
				writers[j] = httptest.NewRecorder()
				requests[j] = caddyhttp.PrepareRequest(template.Clone(template.Context()), caddy.NewReplacer(), writers[j], server)
			}
			b.StartTimer()
		}
		if err := handler.ServeHTTP(writers[i%batch], requests[i%batch]); err != nil || writers[i%batch].Code != http.StatusOK {
			b.Fatal(err, writers[i%batch].Code)
		}
	}
}

// benchHandler is a provisioned handler with keys of its own.
func benchHandler(b *testing.B, mode string) *Handler {
	b.Helper()
	config, err := adapt(fmt.Sprintf("{\nadmin off\nauto_https off\nstorage file_system %s\n}\nhttp://rp.test {\noidc_rp %s {\nissuer https://op.test\nclient_id rp\nsession {\nsecret %s\n}\n}\n}",
		b.TempDir(), mode, strings.Repeat("k", 32)))
	if err != nil {
		b.Fatal(err)
	}
	ctx, err := provision(config)
	if err != nil {
		b.Fatal(err)
	}
	app, err := ctx.App("oidc_rp")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ctx.App("http"); err != nil {
		b.Fatal(err)
	}
	return app.(*App).handlers[0]
}

// benchSession is the Cookie header of a session whose cookies' values have
// the given size.
func benchSession(b *testing.B, h *Handler, size int) string {
	b.Helper()
	r := httptest.NewRequest(http.MethodGet, rpURL+"/", nil)
	s := h.site(r)
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		b.Fatal(err)
	}
	members := map[string]json.RawMessage{
		"name": json.RawMessage(`"Alice Example"`), "email": json.RawMessage(`"alice@example.com"`), "email_verified": json.RawMessage(`true`),
		"preferred_username": json.RawMessage(`"alice"`), "groups": json.RawMessage(`["admins","staff","engineering","on-call"]`),
	}
	now := h.now()
	for i := 0; ; i++ {
		fresh := &session.Session{
			ID: session.NewID(), Binding: h.defaultParty.binding, Provider: h.defaultParty.id, Subject: "248289761001", Username: "alice",
			SignedIn: now, Seen: now, Expires: now.Add(12 * 3600e9),
		}
		if fresh.Claims, err = claims.Encode(members); err != nil {
			b.Fatal(err)
		}
		value := ring.Seal(seal.ForSession, s.sessionPlace, fresh.Encode())
		if len(value) >= size {
			chunks, _ := cookie.Split(value, cookie.MaxChunks)
			var pairs []string
			for i, chunk := range chunks {
				pairs = append(pairs, cookie.ChunkName(s.sessionCookie, i)+"="+chunk)
			}
			return strings.Join(pairs, "; ")
		}
		members[fmt.Sprintf("claim_%02d", i)] = json.RawMessage(`"the value of a usual claim"`)
	}
}
