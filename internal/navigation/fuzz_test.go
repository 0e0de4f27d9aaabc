package navigation

import (
	"net/http"
	"testing"
)

// Whatever the headers are, a page load uses GET or HEAD, and is neither a subresource
// nor a preflight.
func FuzzNavigation(f *testing.F) {
	f.Add("GET", "text/html", "navigate", "document", "none", "", "")
	f.Add("POST", "text/html", "navigate", "document", "cross-site", "", "")
	f.Add("GET", "*/*", "cors", "empty", "same-origin", "", "XMLHttpRequest")
	f.Add("GET", "text/html", "navigate", "iframe", "same-site", "", "")
	f.Add("GET", "text/html", "navigate", "document", "none", "prefetch", "")
	f.Add("get", "application/json", "", "", "", "", "")
	f.Add("OPTIONS", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, method, accept, mode, dest, site, purpose, with string) {
		r := &http.Request{Method: method, Header: make(http.Header)}
		for name, value := range map[string]string{
			"Accept": accept, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest, "Sec-Fetch-Site": site, "Sec-Purpose": purpose, "X-Requested-With": with,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		page := IsPageLoad(r)
		for name, wrong := range map[string]bool{
			"another method":                page && method != "GET" && method != "HEAD",
			"a subresource":                 page && IsSubresource(r),
			"a preflight":                   page && IsPreflight(r),
			"a prefetch":                    page && HasFetchMetadata(r) && purpose != "",
			"a script's call":               page && !HasFetchMetadata(r) && with != "",
			"what asks for no page":         page && !HasFetchMetadata(r) && !AcceptsHTML(r),
			"a frame that is a page load":   page && dest == "iframe",
			"a navigation by a script":      IsNavigation(r) && mode != "" && mode != "navigate",
			"a navigation that wants JSON":  IsNavigation(r) && !AcceptsHTML(r),
			"a navigation by another verb":  IsNavigation(r) && method != "GET" && method != "HEAD" && method != "POST",
			"an error page for a mere call": WantsPage(r) && mode != "" && mode != "navigate",
		} {
			if wrong {
				t.Errorf("%s %v: taken for %s", method, r.Header, name)
			}
		}
	})
}
