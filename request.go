package oidcrp

import (
	"context"
	"net"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/streams"
)

const stateVar = "oidc_rp.visit"

// requestState is what is known about one request: which user it comes from, and
// what was done to its header. Several instances on one site share it, so that the
// second one still sees what the first took from the header.
type requestState struct {
	flow.State
	// upgrade is what the connection was to become, if anything.
	upgrade *headers.Upgrade

	connect bool // the request was a CONNECT for a WebSocket
	follows bool // its response ends with the session if it is a stream

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

	// guard is the instance that lets the request pass, where its response may become
	// a stream that must end with the session, and stream that response.
	guard  flow.Guard
	stream *streams.Response

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
	guarded := !st.guard.IsZero()
	if noStore || private || guarded {
		w = st.writer.Wrap(w, noStore, private)
		st.writer.Hooks = st
	}
	if guarded && !st.follows {
		st.follows = true
		r = st.expectStream(r)
		defer st.endStream()
	}
	err := next.ServeHTTP(w, r)
	if err != nil {
		st.guard = flow.Guard{}
		st.writer.Prepare() // its response is written past the writer
	}
	return err
}

// follow notes that an instance lets a request of a signed-in user pass, in case that
// the response becomes a stream.
func (st *requestState) follow(h *Handler, policy *authz.Policy) {
	if !st.SignedIn() || h.CloseStreams != nil && !*h.CloseStreams {
		return
	}
	st.guard.Pass(h.instance, policy)
}

// expectStream returns the request with a context that ends with the session, if the
// client is ready for a stream.
func (st *requestState) expectStream(r *http.Request) *http.Request {
	if st.upgrade == nil && !st.connect && !streams.AcceptsEvents(r.Header["Accept"]) {
		return r
	}
	st.stream = new(streams.Response)
	return st.stream.Expect(r)
}

// endStream notes that the handler has returned.
func (st *requestState) endStream() {
	if st.stream != nil {
		st.stream.Return()
	}
}

// BeforeHeader implements headers.Hooks.
func (st *requestState) BeforeHeader(header http.Header) {
	if st.BeforeResponse != nil {
		st.BeforeResponse(header)
	}
	if !st.guard.IsZero() && (st.connect || streams.IsEventStream(header["Content-Type"])) {
		st.watched().Begin(&streams.Shared, st.writer.ResponseWriter)
	}
}

// Hijacked implements headers.Hooks.
func (st *requestState) Hijacked(conn net.Conn) net.Conn {
	if st.guard.IsZero() {
		return conn
	}
	return st.watched().Hijack(&streams.Shared, conn)
}

// watched returns the response, which is a stream now.
func (st *requestState) watched() *streams.Response {
	if st.stream == nil {
		st.stream = new(streams.Response)
	}
	st.Watch(st.guard, st.stream)
	st.stream.Stop = st.writer.Stop
	return st.stream
}

// set sets a header about the user, unless its value cannot be one.
func (st *requestState) set(header http.Header, name string, value []string) {
	if value[0] == "" || !httpguts.ValidHeaderFieldValue(value[0]) {
		return
	}
	st.SetIdentityHeader(header, name, value)
}

// caddyServer is what flows need to know of Caddy's HTTP server.
type caddyServer struct{}

// Original implements flow.Server.
func (caddyServer) Original(r *http.Request) *http.Request {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return &original
	}
	return r
}

// OriginalURL implements flow.Server.
func (caddyServer) OriginalURL(r *http.Request) *url.URL { return originalURL(r) }

// IsTrustedProxy implements flow.Server. Before the handshake is complete, the address
// is easily forged.
func (caddyServer) IsTrustedProxy(r *http.Request) bool {
	return isFromTrustedProxy(r) && (r.TLS == nil || r.TLS.HandshakeComplete)
}

// ClientIP implements flow.Server.
func (caddyServer) ClientIP(ctx context.Context) string {
	client, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return client
}

// originalURL is the address as the client sent it, before any rewrite.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}
