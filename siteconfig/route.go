package siteconfig

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// RouteName returns how messages name the route at an index: by its first path matcher,
// or else by its place.
func RouteName(matchers caddyhttp.MatcherSets, index int) string {
	for _, set := range matchers {
		for _, matcher := range set {
			if paths, ok := matcher.(*caddyhttp.MatchPath); ok {
				return strings.Join(*paths, " ")
			}
		}
	}
	return fmt.Sprintf("route %d", index+1)
}
