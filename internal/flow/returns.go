package flow

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// This file checks the addresses to which a login may return.

// requestedURL returns the address of the request as the client sent it, with
// characters escaped that browsers would have escaped.
func (in *Instance) requestedURL(r *http.Request) string {
	original := in.Server.Original(r)
	target := original.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = original.URL.RequestURI()
	}
	return address.EscapeTarget(target)
}

// returnToPage returns the address to which a login of this page load returns. A
// path that begins with two slashes would name another host, so it becomes a full
// URL.
func (x *Exchange) returnToPage(s *cookiescope.Scope) string {
	target := x.requestedURL(x.R)
	if strings.HasPrefix(target, "//") {
		target = s.Origin.String() + target
	}
	returnTo, _ := x.checkReturn(s, target)
	return returnTo
}

// pageBefore returns the page of this site from which the request was sent, or "".
func (x *Exchange) pageBefore() string {
	s := x.Scope()
	if s == nil {
		return ""
	}
	for _, name := range []string{"HX-Current-URL", "Referer"} {
		if from := x.R.Header.Get(name); s.Origin.SameOrigin(from) {
			if location, ok := x.checkReturn(s, from); ok {
				return location
			}
		}
	}
	return ""
}

// withoutError removes a known auth_error from the query, so that a successful
// login does not return to the error of a failed one. The rest stays byte for byte.
func withoutError(location string) string {
	original := location
	if !strings.Contains(location, "auth_error=") {
		return location
	}
	location, fragment, hasFragment := strings.Cut(location, "#")
	path, query, hasQuery := strings.Cut(location, "?")
	if !hasQuery {
		return original
	}
	var kept []string
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		_, known := errorcode.Lookup(value)
		if name != "auth_error" || !known {
			kept = append(kept, pair)
		}
	}
	if len(kept) > 0 {
		path += "?" + strings.Join(kept, "&")
	}
	if hasFragment {
		path += "#" + fragment
	}
	return path
}

// checkReturn returns a return address that is safe to use. It does not accept our
// own endpoints: returning to the logout, for example, would undo the login.
func (in *Instance) checkReturn(s *cookiescope.Scope, raw string) (string, bool) {
	raw = address.Escape(raw)
	location, ok := address.Return(raw, s.Origin, in.ReturnTo)
	if !ok {
		location, ok = address.ReturnWhole(raw, s.Origin)
	}
	if !ok {
		return "", false
	}
	here := strings.TrimPrefix(location, s.Origin.String())
	if u, err := url.Parse(location); err != nil {
		return "", false
	} else if strings.HasPrefix(here, "/") && in.IsOwnPath(u.Path) {
		return "", false
	}
	return withoutError(location), true
}

// IsOwnPath reports whether an application could interpret a path as one of our
// endpoints.
func (in *Instance) IsOwnPath(path string) bool {
	var readings [8]address.Reading
	all, complete := address.Readings(readings[:0], address.Path{Path: path}, address.Path{Path: path})
	for _, reading := range all {
		_, _, ours := in.CutEndpoint(reading.Path)
		if ours || reading.Path == in.LogoutPath || in.ByRedirectPath[reading.Path] != nil {
			return true
		}
	}
	return !complete
}

// homeWithError returns the address of the home page with auth_error in its query.
func (in *Instance) homeWithError(c errorcode.Code) string {
	home, fragment, hasFragment := strings.Cut(in.Home, "#")
	separator := "?"
	if strings.Contains(home, "?") {
		separator = "&"
	}
	home += separator + "auth_error=" + string(c)
	if hasFragment {
		home += "#" + fragment
	}
	return home
}

// CutEndpoint splits {prefix}/{id}/{name}. found reports whether the path is under
// the prefix.
func (in *Instance) CutEndpoint(path string) (id, name string, found bool) {
	rest, found := strings.CutPrefix(path, in.Endpoints)
	if !found || rest != "" && rest[0] != '/' {
		return "", "", false
	}
	id, name, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	return id, name, true
}

// QueryError returns the auth_error of the query if it is a known code; else "".
func (x *Exchange) QueryError() errorcode.Code { return queryError(x.Instance, x.R) }

func queryError(in *Instance, r *http.Request) errorcode.Code {
	text := in.Server.OriginalURL(r).RawQuery
	if !strings.Contains(text, "auth_error=") {
		return ""
	}
	c, _ := errorcode.Lookup(query.Only(text, "auth_error").Get("auth_error"))
	return c
}
