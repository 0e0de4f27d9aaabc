package oidcrp

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// FuzzPlainPaths compares what plain patterns say with what Caddy's matcher says.
func FuzzPlainPaths(f *testing.F) {
	for _, pattern := range []string{"/", "/*", "*", "/open/*", "/Open", "/a*", "/a/b.html", "/a-*", "*.png", "/a*b", "/a?", "/{x}", "/%41", "//a", "/a/./b", "/é", "/a//*", "", "open", "/a/../b*", "/a b"} {
		for _, path := range []string{"/", "/open/x", "/OPEN/x", "/open", "/open/", "/a", "/a/b.html", "/a-b", "/a*b", "/x*", "/a/.b/", "/~a/@b;c", "/a/./b", "//a"} {
			f.Add(pattern, "/other", path)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, second, path string) {
		patterns := caddyhttp.MatchPath{pattern, second}
		if err := patterns.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		plain := plainPathsOf(caddyhttp.MatcherSets{{&patterns}})
		if plain == nil || !address.Plain(path) {
			return
		}
		r := &http.Request{URL: &url.URL{Path: path}}
		r = r.WithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
		want, err := patterns.MatchWithError(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := plain.match(strings.ToLower(path)); got != want {
			t.Errorf("%q match %q: %v, want %v", []string(patterns), path, got, want)
		}
	})
}

func TestOnlyPlainPatternsAreMatchedAsTexts(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"/open/*": true, "/open": true, "/": true, "*": true, "/a.b-c_d~e": true,
		"/{env.X}/*": false, "/%2e": false, "/a*b": false, "*.png": false, "/a?": false, "/[ab]": false, `/a\b`: false, "//a": false, "/é": false, "/a b": false, "": false, "open": false,
	} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			if got := isPlainPattern(pattern); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	path := caddyhttp.MatchPath{"/open"}
	for name, sets := range map[string]caddyhttp.MatcherSets{
		"no matcher": nil, "another matcher": {{caddyhttp.MatchMethod{"GET"}}}, "two matchers": {{path, caddyhttp.MatchMethod{"GET"}}}, "two sets": {{path}, {path}},
	} {
		if got := plainPathsOf(sets); got != nil {
			t.Errorf("%s: %q, want none", name, got)
		}
	}
}
