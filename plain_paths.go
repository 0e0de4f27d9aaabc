package oidcrp

import (
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// plainPaths are the patterns of a route that has one matcher, of paths, whose
// patterns are exact or end in *. For a path that address.Plain accepts they say what
// Caddy's matcher says, which cleans the path for each pattern; nearly every request
// is decided by them. They are nil for any other route.
type plainPaths []string

// plainPathsOf returns the patterns of matchers that were provisioned.
func plainPathsOf(sets caddyhttp.MatcherSets) plainPaths {
	if len(sets) != 1 || len(sets[0]) != 1 {
		return nil
	}
	var patterns caddyhttp.MatchPath
	switch m := sets[0][0].(type) {
	case caddyhttp.MatchPath:
		patterns = m
	case *caddyhttp.MatchPath:
		patterns = *m
	}
	for _, pattern := range patterns {
		if !isPlainPattern(pattern) {
			return nil
		}
	}
	return plainPaths(patterns)
}

// isPlainPattern reports whether a pattern is plain text, up to a * at its end, which
// Caddy neither expands nor reads as percent-encoded or as a glob.
func isPlainPattern(pattern string) bool {
	text := strings.TrimSuffix(pattern, "*")
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`{}%*?[]\`, c) >= 0 {
			return false
		}
	}
	return pattern == "*" || strings.HasPrefix(text, "/") && !strings.Contains(text, "//")
}

// match reports whether a pattern matches a path, which is plain and in lower case.
func (p plainPaths) match(path string) bool {
	for _, pattern := range p {
		if text, isPrefix := strings.CutSuffix(pattern, "*"); path == pattern || isPrefix && strings.HasPrefix(path, text) {
			return true
		}
	}
	return false
}
