package server

import (
	"net/http"
	"slices"
	"strings"
)

// maxBody is the size of a request body that forms and tokens keep to. Routes
// that take more say so.
const maxBody = 64 << 10

// route is an address of the issuer's site.
type route struct {
	// path is exact. With a slash at its end it has all addresses below it, and
	// not itself.
	path string
	// methods are those that the address has. HEAD goes with GET.
	methods []string
	// maxBody is the most bytes of a body; zero is the usual.
	maxBody int64
	// anyHost: programs may call it under any name of this machine.
	anyHost bool
	serve   http.HandlerFunc
}

var (
	get       = []string{http.MethodGet}
	post      = []string{http.MethodPost}
	getOrPost = []string{http.MethodGet, http.MethodPost}
	// anyMethod leaves it to the handler: its part of the site has several
	// addresses with methods of their own.
	anyMethod []string
)

// router finds the route of a request. It compares paths as they were sent, byte
// for byte: no address of the site needs an escape, so none is undone.
type router struct {
	exact    map[string]*route
	prefixes []*route // longer ones first
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

// find returns the route of a path, nil if there is none.
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

// ServeHTTP answers every request.
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
