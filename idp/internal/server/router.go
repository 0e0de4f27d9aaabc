package server

import (
	"net/http"
	"slices"
	"strings"
)

// maxBody is the default limit on request bodies, in bytes.
const maxBody = 64 << 10

// route is a path of the issuer's site.
type route struct {
	// path is matched exactly. If it ends with a slash, it matches all paths below it,
	// but not itself.
	path string
	// methods are the methods allowed. GET includes HEAD. Nil allows all methods.
	methods []string
	// maxBody is the limit on the request body, in bytes. Default: maxBody.
	maxBody int64
	// anyHost permits requests with any Host header. It is set for endpoints that
	// programs call.
	anyHost bool
	serve   http.HandlerFunc
}

var (
	get       = []string{http.MethodGet}
	post      = []string{http.MethodPost}
	getOrPost = []string{http.MethodGet, http.MethodPost}
	// anyMethod leaves the check of the method to the handler, which serves several paths
	// with different methods.
	anyMethod []string
)

// router finds the route of a request. It compares the escaped path byte for byte: no
// path of the site needs escapes, so none are decoded.
type router struct {
	exact    map[string]*route
	prefixes []*route // longest first
	missing  http.HandlerFunc
	wrong    http.HandlerFunc
}

func newRouter(routes []route, missing, wrong http.HandlerFunc) *router {
	r := &router{exact: make(map[string]*route), missing: missing, wrong: wrong}
	for i := range routes {
		if strings.HasSuffix(routes[i].path, "/") {
			r.prefixes = append(r.prefixes, &routes[i])
		} else {
			r.exact[routes[i].path] = &routes[i]
		}
	}
	slices.SortFunc(r.prefixes, func(a, b *route) int { return len(b.path) - len(a.path) })
	return r
}

// find returns the route of a path, or nil if there is none.
func (rt *router) find(path string) *route {
	if found, ok := rt.exact[path]; ok {
		return found
	}
	for _, prefix := range rt.prefixes {
		if strings.HasPrefix(path, prefix.path) && path != prefix.path {
			return prefix
		}
	}
	return nil
}

// ServeHTTP serves all requests to the site.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found := rt.find(r.URL.EscapedPath())
	switch {
	case found == nil:
		rt.missing(w, r)
		return
	case !found.allows(r.Method):
		w.Header().Set("Allow", strings.Join(found.allowed(), ", "))
		rt.wrong(w, r)
		return
	}
	limit := found.maxBody
	if limit == 0 {
		limit = maxBody
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
	}
	found.serve(w, r)
}

func (r *route) allows(method string) bool {
	return r.methods == nil || slices.Contains(r.allowed(), method)
}

func (r *route) allowed() []string {
	if slices.Contains(r.methods, http.MethodGet) {
		return append([]string{http.MethodHead}, r.methods...)
	}
	return r.methods
}
