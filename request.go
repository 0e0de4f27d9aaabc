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

// requestState is the state of one request. All instances that a request passes
// share it, so that later ones still see what the first one removed from the
// header.
type requestState struct {
	flow.State
	// upgrade is the Upgrade that was removed from the request; nil for none.
	upgrade *headers.Upgrade

	connect bool // the request was an extended CONNECT for a WebSocket
	follows bool // callNext has prepared for a response that becomes a stream

	// guarded reports whether an instance has authenticated the request and decided.
	guarded bool
	// stripped reports whether an instance has removed our cookies from the header.
	stripped bool
	// r is the request at the instance that decides about it, and original the URL as it
	// was sent. tooEarly is the error of a rule about the client's IP address in TLS
	// early data, when the address is not verified yet.
	r        *http.Request
	original *url.URL
	tooEarly error

	// guard are the instances that let the request pass, if its response may become a
	// stream that must end with the session, and stream is that response.
	guard  flow.Guard
	stream *streams.Response

	lines   [1]string // buffer for the Cookie header that the application receives
	cookies [2]string // buffer for our cookies
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

// callNext calls the next handler. noStore reports whether the response sets one of
// our cookies, and private whether it is for one user.
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
		st.writer.Prepare() // handle_errors does not write through st.writer
	}
	return err
}

// follow records that an instance lets the request of a signed-in user pass, in
// case the response becomes a stream.
func (st *requestState) follow(h *Handler, policy *authz.Policy) {
	if !st.SignedIn() || h.CloseStreams != nil && !*h.CloseStreams {
		return
	}
	st.guard.Pass(h.instance, policy)
}

// expectStream returns the request with a context that ends with the session, if
// the client may accept a stream.
func (st *requestState) expectStream(r *http.Request) *http.Request {
	if st.upgrade == nil && !st.connect && !streams.AcceptsEvents(r.Header["Accept"]) {
		return r
	}
	st.stream = new(streams.Response)
	return st.stream.Expect(r)
}

// endStream records that the handler has returned.
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

// watched returns the response, which has become a stream.
func (st *requestState) watched() *streams.Response {
	if st.stream == nil {
		st.stream = new(streams.Response)
	}
	st.Watch(st.guard, st.stream)
	st.stream.Stop = st.writer.Stop
	return st.stream
}

// set sets an identity header, unless the value is empty or not valid in a header.
func (st *requestState) set(header http.Header, name string, value []string) {
	if value[0] == "" || !httpguts.ValidHeaderFieldValue(value[0]) {
		return
	}
	st.SetIdentityHeader(header, name, value)
}

// caddyServer implements flow.Server for Caddy.
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

// IsTrustedProxy implements flow.Server. Before the TLS handshake is complete, the
// address could be spoofed.
func (caddyServer) IsTrustedProxy(r *http.Request) bool {
	return isFromTrustedProxy(r) && (r.TLS == nil || r.TLS.HandshakeComplete)
}

// ClientIP implements flow.Server.
func (caddyServer) ClientIP(ctx context.Context) string {
	client, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return client
}

// originalURL returns the URL as the client sent it, before any rewrite.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}
