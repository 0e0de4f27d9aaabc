package flow

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// providersOf returns providers with these domains.
func providersOf(domains ...[]string) (all []*Provider) {
	for _, names := range domains {
		all = append(all, &Provider{Mapping: identity.Mapping{Domains: names}})
	}
	return all
}

func TestAnAddressOfTwoProvidersLeadsToNone(t *testing.T) {
	t.Parallel()
	all := providersOf([]string{"a.example", "both.example"}, []string{"both.example", "b.example"}, nil)
	for address, want := range map[string]*Provider{
		"x@a.example": all[0], "x@B.Example": all[1], "x@both.example": nil, "x@c.example": nil, "x@": nil, "@": nil, "": nil,
		"x y@a.example": nil, "x\u00a0y@a.example": nil, "\u00e4@a.example": all[0], "x@a.example\x00": nil, "\xff@a.example": nil, "x@a.example.": nil,
	} {
		if got := providerOf(address, all); got != want {
			t.Errorf("%q: expected %v, seen %v", address, want, got)
		}
	}
}

// Whatever users enter leads to a provider that has exactly its domain, or to none.
func FuzzWhichProviderAnAddressLeadsTo(f *testing.F) {
	for _, address := range []string{"x@a.example", " X@A.EXAMPLE\t", "x@b.example@a.example", "x@a.example\n", "x@\u0430.example", "a.example", strings.Repeat("x", 200) + "@a.example", "x@xn--a.example", "\"x@b.example\"@a.example", "x%40b.example@a.example"} {
		f.Add(address)
	}
	all := providersOf([]string{"a.example", "xn--a.example"}, []string{"b.example"}, nil)
	f.Fuzz(func(t *testing.T, entered string) {
		p := providerOf(entered, all)
		if p == nil {
			return
		}
		address := strings.TrimSpace(entered)
		if strings.Count(address, "@") != 1 {
			t.Errorf("%q is no address, and leads to %q", entered, p.Mapping.Domains)
		}
		if _, domain, _ := strings.Cut(address, "@"); !slices.Contains(p.Mapping.Domains, strings.ToLower(domain)) || !isASCII(domain) {
			t.Errorf("%q leads to %q", entered, p.Mapping.Domains)
		}
		if utf8.RuneCountInString(address) > maxIdentifier || strings.ContainsAny(address, " \r\n\t\x00") {
			t.Errorf("%q is sent to a provider", entered)
		}
	})
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}
