package httpconfig

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Answer is what can be said, without running the matchers, about whether
// requests for a path match.
type Answer int

const (
	// No means that no request for the path matches.
	No Answer = iota
	// Unknown means that the result depends on more than the path, or on
	// something that only Caddy can evaluate.
	Unknown
	// Yes means that every request for the path matches.
	Yes
)

// Reaches returns whether requests for a path reach the instance.
func (i *Instance) Reaches(path string) Answer {
	reached := Yes
	for _, sets := range i.Path {
		best := No
		for _, set := range sets {
			best = max(best, set.matches(path))
		}
		reached = min(reached, best)
	}
	return reached
}

// matches returns whether all matchers of the set match a path.
func (set MatcherSet) matches(path string) Answer {
	all := Yes
	for name, raw := range set {
		all = min(all, matcherMatches(name, raw, path))
	}
	return all
}

func matcherMatches(name string, raw json.RawMessage, path string) Answer {
	switch name {
	case "path":
		var patterns []string
		if json.Unmarshal(raw, &patterns) != nil {
			return Unknown
		}
		return MatchPath(patterns, path)
	case "path_regexp":
		return regexpMatches(raw, path)
	case "not":
		var sets []MatcherSet
		if json.Unmarshal(raw, &sets) != nil {
			return Unknown
		}
		matched := No
		for _, set := range sets {
			matched = max(matched, set.matches(path))
		}
		return Yes - matched
	case "expression":
		if namesOtherPaths(expressionOf(raw), path) {
			return No
		}
	}
	return Unknown
}

func regexpMatches(raw json.RawMessage, path string) Answer {
	var matcher struct {
		Pattern string `json:"pattern"`
	}
	if json.Unmarshal(raw, &matcher) != nil {
		return Unknown
	}
	expression, err := regexp.Compile(matcher.Pattern)
	switch {
	case err != nil:
		return Unknown
	case expression.MatchString(path):
		return Yes
	}
	return No
}

// namesOtherPaths reports whether an expression matches only paths other than
// the given one: it reads the path, does not contain the path's first segment,
// and negates nothing. This is a heuristic on the text of the expression.
func namesOtherPaths(expression, path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return strings.Contains(expression, "path") && !strings.Contains(expression, "/"+first) &&
		!strings.Contains(expression, "!") && !strings.Contains(expression, "false")
}

// Expression returns the CEL expression of the set's expression matcher, or ""
// if it has none.
func (set MatcherSet) Expression() string { return expressionOf(set["expression"]) }

// expressionOf returns the CEL expression of an expression matcher, which is a
// string or an object with the member expr.
func expressionOf(raw json.RawMessage) string {
	if text := textOf(raw); text != "" {
		return text
	}
	var matcher struct {
		Expr string `json:"expr"`
	}
	_ = json.Unmarshal(raw, &matcher)
	return matcher.Expr
}

// MatchPath returns whether any of Caddy's path patterns matches a path. It
// compares patterns as Caddy does. For patterns with wildcards, placeholders or
// escapes in the middle, the answer is Unknown.
func MatchPath(patterns []string, path string) Answer {
	best := No
	for _, pattern := range patterns {
		best = max(best, matchPattern(pattern, path))
	}
	return best
}

func matchPattern(pattern, path string) Answer {
	pattern, path = strings.ToLower(pattern), strings.ToLower(path)
	prefix, suffix := strings.HasSuffix(pattern, "*"), strings.HasPrefix(pattern, "*")
	plain := strings.TrimSuffix(strings.TrimPrefix(pattern, "*"), "*")
	if strings.ContainsAny(plain, "*?[{%") {
		return Unknown
	}
	matched := pattern == path
	switch {
	case prefix && suffix:
		matched = strings.Contains(path, plain)
	case prefix:
		matched = strings.HasPrefix(path, plain)
	case suffix:
		matched = strings.HasSuffix(path, plain)
	}
	if matched {
		return Yes
	}
	return No
}

// Paths returns the path patterns of matcher sets.
func Paths(sets []MatcherSet) (patterns []string) {
	for _, set := range sets {
		var paths []string
		if json.Unmarshal(set["path"], &paths) == nil {
			patterns = append(patterns, paths...)
		}
	}
	return patterns
}

// Folder returns the folder /x for a pattern of the form /x/*, and false for
// other patterns. Such a pattern matches everything in the folder, but not the
// folder itself.
func Folder(pattern string) (folder string, ok bool) {
	folder, ok = strings.CutSuffix(pattern, "/*")
	return folder, ok && folder != "" && strings.HasPrefix(folder, "/")
}
