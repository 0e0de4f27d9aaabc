package oidcrp

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// answered is what can be told about a matcher without asking it.
type answered int

const (
	no answered = iota
	unknown
	yes
)

// reaches reports whether a request for a path comes to the instance.
func (i *writtenInstance) reaches(path string) answered {
	reached := yes
	for _, sets := range i.way {
		best := no
		for _, set := range sets {
			best = max(best, setMatches(set, path))
		}
		reached = min(reached, best)
	}
	return reached
}

// setMatches reports whether all matchers of a set match a path, as far as they
// decide by it.
func setMatches(set caddy.ModuleMap, path string) answered {
	all := yes
	for name, raw := range set {
		all = min(all, matcherMatches(name, raw, path))
	}
	return all
}

func matcherMatches(name string, raw json.RawMessage, path string) answered {
	switch name {
	case "path":
		var patterns []string
		if json.Unmarshal(raw, &patterns) != nil {
			return unknown
		}
		return anyMatches(patterns, path)
	case "path_regexp":
		var written struct {
			Pattern string `json:"pattern"`
		}
		if json.Unmarshal(raw, &written) != nil {
			return unknown
		}
		expression, err := regexp.Compile(written.Pattern)
		if err != nil {
			return unknown
		}
		if expression.MatchString(path) {
			return yes
		}
		return no
	case "not":
		var sets []caddy.ModuleMap
		if json.Unmarshal(raw, &sets) != nil {
			return unknown
		}
		matched := no
		for _, set := range sets {
			matched = max(matched, setMatches(set, path))
		}
		return yes - matched
	case "expression":
		if namesOtherPaths(expressionText(raw), path) {
			return no
		}
	}
	return unknown
}

// namesOtherPaths reports whether an expression is about some paths, of which
// the given one is none: it has no part that could be this path's, and leaves no
// path out.
func namesOtherPaths(expression, path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return strings.Contains(expression, "path") && !strings.Contains(expression, "/"+first) &&
		!strings.Contains(expression, "!") && !strings.Contains(expression, "false")
}

// expressionText is the CEL of an expression matcher, which is a text or an
// object with one.
func expressionText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var written struct {
		Expr string `json:"expr"`
	}
	_ = json.Unmarshal(raw, &written)
	return written.Expr
}

func anyMatches(patterns []string, path string) answered {
	best := no
	for _, pattern := range patterns {
		best = max(best, patternMatches(pattern, path))
	}
	return best
}

// patternMatches is Caddy's path matcher for the patterns that it compares by
// themselves; for asterisks in odd places it says that it does not know.
func patternMatches(pattern, path string) answered {
	pattern, path = strings.ToLower(pattern), strings.ToLower(path)
	begins, ends := strings.HasSuffix(pattern, "*"), strings.HasPrefix(pattern, "*")
	plain := strings.TrimSuffix(strings.TrimPrefix(pattern, "*"), "*")
	if strings.ContainsAny(plain, "*?[{%") {
		return unknown
	}
	matched := pattern == path
	switch {
	case begins && ends:
		matched = strings.Contains(path, plain)
	case begins:
		matched = strings.HasPrefix(path, plain)
	case ends:
		matched = strings.HasSuffix(path, plain)
	}
	if matched {
		return yes
	}
	return no
}

// pathsOf are the path patterns of matcher sets.
func pathsOf(sets []caddy.ModuleMap) (patterns []string) {
	for _, set := range sets {
		var paths []string
		if json.Unmarshal(set["path"], &paths) == nil {
			patterns = append(patterns, paths...)
		}
	}
	return patterns
}
