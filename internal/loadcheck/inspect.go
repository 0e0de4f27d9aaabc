package loadcheck

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// inspections are checks that only the doctor makes. What they find may be intended,
// so it is not reported when a configuration is loaded.
var inspections = []func(*report, *Instance){
	inspectPlainHTTP, // logins that do not begin without TLS
	inspectRegexps,   // routes that match only one spelling of a path
	inspectErrors,    // error routes that serve the refused page
	inspectShadowed,  // routes that never apply
}

// Inspect returns what may be wrong with sites and is not reported by Run. It does
// not repeat findings.
func Inspect(sites []*Site) []Finding {
	r := &report{sites: sites}
	for _, site := range sites {
		r.site = site
		for _, i := range site.Instances {
			for _, inspect := range inspections {
				inspect(r, i)
			}
		}
	}
	return r.findings
}

// advise reports a possible mistake, and what to do about it.
func (r *report) advise(message, remedy string, attrs ...slog.Attr) {
	r.add(Finding{Level: slog.LevelWarn, Message: message, Remedy: remedy, Attrs: append(attrs, slog.String("site", r.site.Name()))})
}

// inspectPlainHTTP finds sites that, as far as the configuration shows, browsers
// reach without TLS.
func inspectPlainHTTP(r *report, i *Instance) {
	scheme, _ := i.Site.Scheme()
	if scheme != "http" || i.Base != nil || i.LoginAt != nil || i.Checks || i.Session.Cookie.Insecure || i.Site.Server.TrustsProxies {
		return
	}
	for _, host := range i.Hosts {
		if origin, ok := address.FromRequest("http", host); ok && origin.Loopback() {
			return
		}
	}
	r.advise("the site is served over plain HTTP, where no login starts",
		"Serve it over HTTPS. If a proxy in front of Caddy has TLS, set base_url https://…, or name the proxy with trusted_proxies.")
}

// inspectRegexps finds regular expressions for paths that are case-sensitive.
func inspectRegexps(r *report, i *Instance) {
	sets := slices.Clone(i.Match)
	for _, route := range i.Routes {
		sets = append(sets, route.Match...)
	}
	for _, set := range sets {
		var matcher struct{ Pattern string }
		if set["path_regexp"] == nil || json.Unmarshal(set["path_regexp"], &matcher) != nil {
			continue
		}
		if strings.Contains(matcher.Pattern, "(?i") || !strings.ContainsFunc(matcher.Pattern, unicode.IsLetter) {
			continue
		}
		r.advise("path_regexp "+matcher.Pattern+" compares case: an application that does not may serve the same page by another spelling, under other rules",
			"Write (?i) in front of the expression, or use path, for which case does not matter.")
	}
}

// inspectErrors finds error routes that serve the very path that was refused.
func inspectErrors(r *report, i *Instance) {
	if !i.LeavesErrors || i.EndpointsOnly {
		return
	}
	for n := range i.Site.Server.Errors {
		route := i.Site.Server.Errors[n : n+1]
		hosts := httpconfig.Hosts(route[0].Match)
		if hosts != nil && i.Hosts != nil && !slices.ContainsFunc(hosts, func(host string) bool { return slices.Contains(i.Hosts, host) }) {
			continue
		}
		if rewritten := false; servesRequest(route, &rewritten) {
			r.advise("handle_errors serves the address of a refused request, and with error_pages caddy it runs for those: anyone can read what is private",
				"Rewrite to an error page first, as in rewrite * /error.html, or leave error_pages out.")
			return
		}
	}
}

// servesRequest reports whether a request reaches a file_server or reverse_proxy
// before it is rewritten to a fixed path.
func servesRequest(routes []httpconfig.Route, rewritten *bool) bool {
	for n := range routes {
		for _, h := range routes[n].Handle {
			switch h.Name {
			case "rewrite":
				var options struct{ URI string }
				_ = json.Unmarshal(h.JSON, &options) // without a uri, it is not a rewrite to a fixed path
				*rewritten = *rewritten || options.URI != "" && !strings.Contains(options.URI, "{http.request.uri") && !strings.Contains(options.URI, "{http.matchers.file")
			case "file_server", "reverse_proxy":
				if !*rewritten {
					return true
				}
			case "subroute":
				if servesRequest(h.Routes, rewritten) {
					return true
				}
			}
		}
	}
	return false
}

// inspectShadowed finds routes whose paths are all covered by an earlier route.
func inspectShadowed(r *report, i *Instance) {
	for n, route := range i.Routes {
		patterns := httpconfig.Paths(route.Match)
		for _, earlier := range i.Routes[:n] {
			if len(patterns) > 0 && isByPathAlone(earlier.Match) && coversAll(httpconfig.Paths(earlier.Match), patterns) {
				r.advise(mode(route)+" "+strings.Join(patterns, " ")+" never applies: "+mode(earlier)+" "+strings.Join(httpconfig.Paths(earlier.Match), " ")+" is before it, and the first route counts",
					"Write the narrower route first.")
				break
			}
		}
	}
}

func mode(route Route) string {
	if route.Private {
		return "private"
	}
	return "public"
}

// isByPathAlone reports whether the matcher sets depend on the path only.
func isByPathAlone(sets []httpconfig.MatcherSet) bool {
	return len(sets) > 0 && !slices.ContainsFunc(sets, func(set httpconfig.MatcherSet) bool { return len(set) != 1 || set["path"] == nil })
}

// coversAll reports whether each of the patterns in others is covered by one in
// patterns.
func coversAll(patterns, others []string) bool {
	return !slices.ContainsFunc(others, func(other string) bool {
		return !slices.ContainsFunc(patterns, func(pattern string) bool {
			prefix, open := strings.CutSuffix(strings.ToLower(pattern), "*")
			if !open || strings.Contains(prefix, "*") {
				return strings.EqualFold(pattern, other)
			}
			return strings.HasPrefix(strings.ToLower(other), prefix)
		})
	})
}
