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

// maxSAML is the size of a SAML response with what is around it in the form.
const maxSAML = 512 << 10

// routes are the addresses of the site. There are no others.
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

// atIssuer serves an address under the issuer's name alone. Another name may belong to
// somebody else, and lead to another server tomorrow: with the cookies that browsers
// got under it.
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

// hostName returns the name of a Host header, without the port: sites of one name share
// their cookies whatever the port (RFC 6265 section 8.5).
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

// home returns where the application of a request begins.
func (s *Server) home(q *request.Request) string {
	if q.ClientID == "" { // it is about this site itself
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

// retryAfter is when a browser may try again after a failure of ours.
const retryAfter = 5 * time.Second

// fail answers a request that failed for a reason of ours. A database that does
// not answer is not the user's mistake.
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

// peer returns the address at the other end of a request's connection.
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
