package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Register registers a client in this Caddy, until the registration is closed.
// serve handles its requests. Their context identifies the client, and serve has to
// pass them on to a Provider.
func (c *Clients) Register(client builtin.Client, issuer address.Origin, serve http.Handler) (builtin.Registration, error) {
	remove, err := c.add(client)
	if err != nil {
		return nil, err
	}
	return &registration{clients: c, id: client.ID, issuer: issuer, serve: serve, remove: remove}, nil
}

type registration struct {
	clients *Clients
	id      string
	issuer  address.Origin
	serve   http.Handler
	remove  func()
}

// Close ends the registration.
func (r *registration) Close() error {
	r.remove()
	return nil
}

// RoundTrip implements http.RoundTripper. The client is a value in the context,
// which requests from elsewhere cannot have.
func (r *registration) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if origin, ok := address.FromRequest(req.URL.Scheme, req.URL.Host); !ok || origin != r.issuer {
		return nil, fmt.Errorf("the identity provider of this Caddy has no address %s", req.URL.Redacted())
	}
	e, ok := endpoints[req.URL.Path]
	if !ok || !e.inProcess {
		return nil, fmt.Errorf("%s is not for programs", req.URL.Path)
	}
	client := r.clients.find(r.id)
	if client == nil {
		return nil, fmt.Errorf("the client %q is not registered any more", r.id)
	}
	inner := req.Clone(context.WithValue(req.Context(), builtinKey{}, client))
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	inner.Host, inner.RequestURI = r.issuer.Host, req.URL.RequestURI()
	answer := newAnswer()
	r.serve.ServeHTTP(answer, inner)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	answer.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", answer.status, http.StatusText(answer.status)), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.header, Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()), Request: req,
	}, nil
}
