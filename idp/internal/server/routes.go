package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/selfservice"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// maxSAML is the limit on a form with a SAML response, in bytes.
const maxSAML = 512 << 10

// routes returns all routes of the site.
func (s *Server) routes() []route {
	all := []route{
		{path: "/signin/", methods: anyMethod, maxBody: 128 << 10, serve: s.SignIn.ServeHTTP},
		{path: "/external/", methods: getOrPost, serve: s.serveExternal},
		{path: "/saml/", methods: getOrPost, maxBody: maxSAML, serve: s.serveExternal},
		{path: "/assets/", methods: get, serve: s.shown.ServeAsset},
	}
	for _, path := range provider.Paths() {
		all = append(all, route{path: path, methods: anyMethod, anyHost: !provider.IsPage(path), serve: s.Provider.ServeHTTP})
	}
	for _, path := range selfservice.Paths() {
		all = append(all, route{path: path, methods: selfservice.Methods(path), serve: s.SelfService.ServeHTTP})
	}
	for i := range all {
		if !all[i].anyHost {
			all[i].serve = s.atIssuer(all[i].serve)
		}
	}
	return all
}

// atIssuer returns a handler that serves only requests for the issuer's host. Another
// host name may belong to somebody else, and point to another server tomorrow, which
// would then receive the cookies that browsers got under that name.
func (s *Server) atIssuer(serve http.HandlerFunc) http.HandlerFunc {
	name := hostName(s.Issuer.Host)
	return func(w http.ResponseWriter, r *http.Request) {
		if hostName(s.Host(r)) == name {
			serve(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Frame-Options", "DENY")
		http.Error(w, "This site is "+s.Issuer.String()+".", http.StatusMisdirectedRequest)
	}
}

// hostName returns the host name in a Host header, without the port. Cookies are shared
// by all ports of a host (RFC 6265, section 8.5).
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func (s *Server) serveExternal(w http.ResponseWriter, r *http.Request) {
	if !s.Broker.ServeHTTP(w, r) {
		s.missing(w, r)
	}
}

// home returns the start page of the application of a request, or "" if it is not known.
func (s *Server) home(q *request.Request) string {
	if q.ClientID == "" { // the request is for this site itself
		return s.Issuer.String() + "/account"
	}
	if address := s.InitiateURL(q.ClientID); address != "" {
		return address
	}
	if origin := provider.Target(q); origin != "" {
		return origin + "/"
	}
	return ""
}

func (s *Server) missing(w http.ResponseWriter, r *http.Request) {
	s.shown.Render(w, r, http.StatusNotFound, pages.NotFound())
}

func (s *Server) wrongMethod(w http.ResponseWriter, r *http.Request) {
	s.shown.Render(w, r, http.StatusMethodNotAllowed, pages.WrongMethod())
}

// retryAfter is when a browser may try again after an internal error.
const retryAfter = 5 * time.Second

// fail responds to a request that failed because of an internal error: 503 if the
// database does not respond, otherwise 500.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, page, event := http.StatusInternalServerError, pages.Failed(), "request_failed"
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		status, page, event = http.StatusServiceUnavailable, pages.Unavailable(retryAfter), "unavailable"
	}
	if r.Context().Err() == nil {
		s.Logger.LogAttrs(r.Context(), slog.LevelError, "a request failed", slog.String("event", event), slog.Any("error", err))
	}
	s.shown.Render(w, r, status, page)
}

// peer returns the remote address of a request's connection.
func peer(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
