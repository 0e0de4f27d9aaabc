package oidcrp

import (
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
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
	// stripped reports whether an instance has taken our cookies out of the header.
	stripped bool
	// r is the request at the instance that decides about it, original the address as
	// it was sent, and tooEarly the error of a rule about the client's address, before
	// that is certain.
	r        *http.Request
	original *url.URL
	tooEarly error

	lines   [1]string // room for the Cookie header that the application receives
	cookies [2]string // room for our cookies
	writer  headers.ResponseWriter
}

// HTTP implements ruleconfig.Request.
func (st *requestState) HTTP() *http.Request { return st.r }

// OriginalURL implements ruleconfig.Request.
func (st *requestState) OriginalURL() *url.URL { return st.original }

// ClientIP implements ruleconfig.Request.
func (st *requestState) ClientIP() string { return caddyServer{}.ClientIP(st.r.Context()) }

// RefuseEarly implements ruleconfig.Request.
func (st *requestState) RefuseEarly(err error) { st.tooEarly = err }

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
