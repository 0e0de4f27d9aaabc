package siteconfig

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// RouteName returns the name of a route in messages: its first path matcher, or
// else its position.
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
