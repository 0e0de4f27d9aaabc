package loadcheck

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// Problems of rules about users that are written with Caddy's own matchers.
const (
	RuleBehindHandle = "a rule about the signed-in user does not hold for what handle and route blocks answer: Caddy runs them before the rule; put the rule and what it protects into one route block"
	RuleByPath       = "a rule about the signed-in user holds only for some spellings of its path: Caddy's matchers see one of several readings, and an application may make another of it; make the rule for the whole site"
)

// checkRules finds routes that refuse requests depending on the user but are
// not applied to all requests that they seem to cover.
func checkRules(r *report, site *Site) {
	for _, routes := range site.RouteLists {
		handled := false
		for n := range routes {
			if refuses(&routes[n]) && aboutUsers(routes[n].Match) {
				if handled {
					r.warn(RuleBehindHandle)
				}
				if byPath(routes[n].Match) {
					r.warn(RuleByPath)
				}
			}
			handled = handled || isBlock(&routes[n])
		}
	}
}

// refuses reports whether a route itself ends requests with error, abort or a
// status of at least 400. It ignores handlers that Caddy has already loaded:
// those run before our first handler, where no user is known.
func refuses(route *httpconfig.Route) bool {
	return slices.ContainsFunc(route.Handle, func(h httpconfig.Handler) bool {
		var options struct {
			Abort  bool            `json:"abort"`
			Status json.RawMessage `json:"status_code"` // a number, or a string of one
		}
		if h.JSON == nil || json.Unmarshal(h.JSON, &options) != nil {
			return false
		}
		return h.Name == "error" || h.Name == "static_response" && (options.Abort || strings.Trim(string(options.Status), `"`) >= "4")
	})
}

// isBlock reports whether a route is a block, such as handle makes, that
// answers requests.
func isBlock(route *httpconfig.Route) bool {
	return slices.ContainsFunc(route.Handle, func(h httpconfig.Handler) bool { return h.Name == "subroute" && answers(h.Routes) })
}

// answering are Caddy's handlers that do not call the next one.
var answering = []string{"reverse_proxy", "file_server", "static_response", "error"}

// answers reports whether any of the routes answers requests.
func answers(routes []httpconfig.Route) bool {
	for n := range routes {
		if isBlock(&routes[n]) || slices.ContainsFunc(routes[n].Handle, func(h httpconfig.Handler) bool { return slices.Contains(answering, h.Name) }) {
			return true
		}
	}
	return false
}

// aboutUsers reports whether a matcher uses our placeholders or matchers, and
// so depends on the user.
func aboutUsers(sets []httpconfig.MatcherSet) bool {
	signs := []string{"http.auth.user.", "http.oidc_rp.", "oidc_rp(", "oidc_rp_claim(", `"oidc_rp"`, `"oidc_rp_claim"`}
	for _, set := range sets {
		for name, raw := range set {
			if name == "oidc_rp" || name == "oidc_rp_claim" {
				return true
			}
			if slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(string(raw), sign) }) {
				return true
			}
		}
	}
	return false
}

// byPath reports whether a matcher set that depends on the user also depends on
// the path.
func byPath(sets []httpconfig.MatcherSet) bool {
	for _, set := range sets {
		if !aboutUsers([]httpconfig.MatcherSet{set}) {
			continue
		}
		_, path := set["path"]
		_, pathRegexp := set["path_regexp"]
		expression := set.Expression()
		if path || pathRegexp || slices.ContainsFunc([]string{"path(", "path_regexp(", ".path", ".uri"}, func(part string) bool { return strings.Contains(expression, part) }) {
			return true
		}
	}
	return false
}
