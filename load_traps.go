package oidcrp

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What is wrong with rules about users that are made of Caddy's own matchers.
const (
	trapBehindHandle = "a rule about the signed-in user does not hold for what handle and route blocks answer: Caddy runs them before the rule; put the rule and what it protects into one route block"
	trapPath         = "a rule about the signed-in user holds only for some spellings of its path: Caddy's matchers see one of several readings, and an application may make another of it; make the rule for the whole site"
)

// trapsIn looks for refusals that depend on the user and do not hold, among
// routes that Caddy runs one after the other.
func trapsIn(routes caddyhttp.RouteList) (traps []string) {
	handled := false
	for n := range routes {
		sets := writtenSets(&routes[n])
		if refuses(&routes[n]) && aboutUsers(sets) {
			if handled {
				traps = append(traps, trapBehindHandle)
			}
			if byPath(sets) {
				traps = append(traps, trapPath)
			}
		}
		handled = handled || isBlock(&routes[n])
	}
	return traps
}

// refuses reports whether a route ends requests by itself: with error, abort or
// a status from 400 on.
func refuses(route *caddyhttp.Route) bool {
	for _, raw := range route.HandlersRaw {
		var head struct {
			Handler string               `json:"handler"`
			Abort   bool                 `json:"abort"`
			Status  caddyhttp.WeakString `json:"status_code"`
		}
		if json.Unmarshal(raw, &head) != nil {
			continue
		}
		if head.Handler == "error" || head.Handler == "static_response" && (head.Abort || head.Status >= "4") {
			return true
		}
	}
	return false
}

// isBlock reports whether a route is a block, as of handle, in which requests
// are answered.
func isBlock(route *caddyhttp.Route) bool {
	for _, raw := range route.HandlersRaw {
		var block struct {
			Handler string              `json:"handler"`
			Routes  caddyhttp.RouteList `json:"routes"`
		}
		if json.Unmarshal(raw, &block) == nil && block.Handler == "subroute" && answers(block.Routes) {
			return true
		}
	}
	for _, handler := range route.Handlers {
		if block, ok := handler.(*caddyhttp.Subroute); ok && answers(block.Routes) {
			return true
		}
	}
	return false
}

// answering are Caddy's handlers after which no other is asked.
var answering = []string{"reverse_proxy", "file_server", "static_response", "error"}

func answers(routes caddyhttp.RouteList) bool {
	for n := range routes {
		if isBlock(&routes[n]) {
			return true
		}
		for _, raw := range routes[n].HandlersRaw {
			var head struct {
				Handler string `json:"handler"`
			}
			if json.Unmarshal(raw, &head) == nil && slices.Contains(answering, head.Handler) {
				return true
			}
		}
		for _, handler := range routes[n].Handlers {
			if module, ok := handler.(caddy.Module); ok && slices.Contains(answering, module.CaddyModule().ID.Name()) {
				return true
			}
		}
	}
	return false
}

func aboutUsers(sets []caddy.ModuleMap) bool {
	for _, set := range sets {
		for _, raw := range set {
			if strings.Contains(string(raw), "http.auth.user.") || strings.Contains(string(raw), "http.oidc_rp.") {
				return true
			}
		}
	}
	return false
}

// byPath reports whether a matcher set that is about users reads the path, too.
func byPath(sets []caddy.ModuleMap) bool {
	for _, set := range sets {
		if !aboutUsers([]caddy.ModuleMap{set}) {
			continue
		}
		_, path := set["path"]
		_, pathRegexp := set["path_regexp"]
		text := expressionText(set["expression"])
		if path || pathRegexp || strings.Contains(text, "path(") || strings.Contains(text, "path_regexp(") || strings.Contains(text, ".path") || strings.Contains(text, ".uri") {
			return true
		}
	}
	return false
}
