package oidcrp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// words are the options that blocks may hold, by the block. It is filled when
// the package is loaded, since the tables name the functions that ask it.
var words = map[string][]string{}

var (
	globalWords   = []string{"provider", "default_provider", "session"}
	cookieWords   = []string{"domain", "same_site", "partitioned", "insecure"}
	tlsWords      = []string{"ca", "client_certificate"}
	upstreamWords = []string{"header", "access_token", "id_token"}
	privateWords  = []string{"unauthenticated"}
)

func init() {
	words["provider"] = slices.Sorted(maps.Keys(providerOptions))
	words["session"] = slices.Sorted(maps.Keys(sessionOptions))
	words["site"] = slices.Sorted(maps.Keys(siteOptions))
}

// siteWords are the options of a site, and those of the provider that it may
// have itself.
func siteWords() []string { return slices.Concat(words["site"], words["provider"]) }

// blocks are where an option may belong that is at the wrong place, and how to
// say so.
var blocks = []struct {
	name  string
	words func() []string
}{
	{"of a provider", func() []string { return words["provider"] }},
	{"of session", func() []string { return words["session"] }},
	{"of session { cookie { … } }", func() []string { return cookieWords }},
	{"of upstream", func() []string { return upstreamWords }},
	{"of a provider's tls", func() []string { return tlsWords }},
	{"of a site", func() []string { return words["site"] }},
}

// unrecognized is the error about an option that its block does not have, with
// what was probably meant.
func unrecognized(d *caddyfile.Dispenser, word, of string, valid []string) error {
	err := d.Errf("unrecognized option '%s'%s", word, of)
	if len(valid) == 0 {
		return err
	}
	for _, block := range blocks {
		if slices.Contains(block.words(), word) {
			return fmt.Errorf("%w: it is an option %s", err, block.name)
		}
	}
	return suggest.Hint(err, word, valid...)
}
