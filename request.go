package oidcrp

import (
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

const stateVar = "oidc_rp.visit"

// requestState is what is known about one request: which user it comes from, and
// what was done to its header. Several instances on one site share it, so that the
// second one still sees what the first took from the header.
type requestState struct {
	flow.State
	// upgrade is what the connection was to become, if anything.
	upgrade *headers.Upgrade

	// guarded reports whether an instance has decided about the request, so that it is
	// known which user it comes from.
	guarded bool
	// r is the request at the instance that decides about it, original the address as
	// it was sent, and tooEarly the error of a rule about the client's address, before
	// that is certain.
	r        *http.Request
	original *url.URL
	tooEarly error

	lines  [1]string // room for the Cookie header that the application receives
	writer headers.ResponseWriter
}

// callNext calls the next handler. noStore says that the response sets a cookie of
// ours, private that it is for one user.
func (st *requestState) callNext(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, noStore, private bool) error {
	if noStore || private {
		st.writer.BeforeHeader = st.BeforeResponse
		w = st.writer.Wrap(w, noStore)
	}
	err := next.ServeHTTP(w, r)
	if err != nil {
		st.writer.Prepare() // its response is written past the writer
	}
	return err
}

// set sets a header about the user, unless its value cannot be one.
func (st *requestState) set(header http.Header, name string, value []string) {
	if value[0] == "" || !httpguts.ValidHeaderFieldValue(value[0]) {
		return
	}
	st.SetIdentityHeader(header, name, value)
}

// upstreamHeader is a header with what the application receives about the user.
type upstreamHeader struct {
	name, value string
	lasting     bool // what it says follows from the session alone
}

// upstreamHeaders are those of an instance.
type upstreamHeaders []upstreamHeader

// lastingValues are the values of those headers that say the same on every
// request, made once for an opened session: to read a list of groups takes
// longer than all else that is done for a request.
func (u upstreamHeaders) lastingValues(st *requestState) []string {
	cache := st.HeaderCache()
	if cache == nil {
		return u.makeLasting(st)
	}
	if made := cache.Load(); made != nil {
		return *made
	}
	made := u.makeLasting(st)
	cache.Store(&made)
	return made
}

func (u upstreamHeaders) makeLasting(st *requestState) []string {
	values := make([]string, len(u))
	repl := caddy.NewEmptyReplacer() // not the request's, which others have put something into
	repl.Map(st.Placeholder)
	for i, header := range u {
		switch {
		case !header.lasting:
		case identity.HasPlaceholders(header.value):
			values[i] = claims.Printable(repl.ReplaceAll(header.value, ""))
		default:
			values[i] = st.User().ClaimText(header.value)
		}
	}
	return values
}

// headerValue is a text with placeholders, expanded once. What a claim says is
// never expanded.
func headerValue(r *http.Request, value string) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	return claims.Printable(repl.ReplaceAll(value, ""))
}
