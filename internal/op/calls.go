package op

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
)

// This file observes requests to a provider: how long each takes, and whether the
// provider responds.

// call is a kind of request to the provider.
type call struct {
	endpoint string // name in metrics
	span     string // name of its span
	provider string // id of the configuration; empty for that of the discovery
}

// Kinds of calls.
var (
	callDiscovery     = call{endpoint: "discovery", span: "oidc_rp.discovery"}
	callJWKS          = call{endpoint: "jwks", span: "oidc_rp.keys"}
	callExchange      = call{endpoint: "token", span: "oidc_rp.code_exchange"}
	callRefresh       = call{endpoint: "token", span: "oidc_rp.token_refresh"}
	callUserinfo      = call{endpoint: "userinfo", span: "oidc_rp.userinfo"}
	callIntrospection = call{endpoint: "introspection", span: "oidc_rp.introspection"}
	callRevocation    = call{endpoint: "revocation", span: "oidc_rp.token_revocation"}
	callPushed        = call{endpoint: "pushed_authorization_request", span: "oidc_rp.pushed_request"}
)

type callKey struct{}

// with returns a context for requests of this kind.
func (c call) with(ctx context.Context, provider string) context.Context {
	c.provider = provider
	return context.WithValue(ctx, callKey{}, c)
}

// observe sends a request, counts it and traces it. The request has no trace
// headers, so the provider learns nothing of the trace.
func (r *Discovery) observe(request *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	ctx := request.Context()
	c, known := ctx.Value(callKey{}).(call)
	if !known {
		return send(request)
	}
	provider := cmp.Or(c.provider, r.users.newest())
	_, span := observe.StartCall(ctx, c.span)
	span.Set(observe.AttrProvider, provider).Set(observe.AttrEndpoint, c.endpoint)
	began := time.Now()
	response, err := send(request)
	if err != nil && ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
		span.Set(observe.AttrOutcome, "canceled").End(false)
		return response, err // the caller has gone away; that says nothing about the provider
	}
	observe.ProviderLatency.With(provider, c.endpoint).Observe(time.Since(began))
	failed := err != nil || response.StatusCode/100 != 2
	if failed {
		observe.ProviderFailures.With(provider, c.endpoint).Inc()
	}
	if err == nil {
		span.SetInt(observe.AttrStatus, response.StatusCode)
	}
	span.End(failed)
	if c.endpoint != callDiscovery.endpoint && c.endpoint != callJWKS.endpoint { // they are noted after parsing
		r.outage.note(c.endpoint, unanswered(response, err))
	}
	return response, err
}

// unanswered returns why a request counts as not answered, or nil. A server that
// responds with an error is up; a gateway whose upstream does not respond is not.
func unanswered(response *http.Response, err error) error {
	if err != nil {
		return bare(err)
	}
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errorOfStatus(response.StatusCode)
	}
	return nil
}

type errorOfStatus int

func (e errorOfStatus) Error() string { return "the answer is " + http.StatusText(int(e)) }

// users are the ids under which configurations use a provider.
type users struct {
	mu  sync.Mutex
	ids []string
}

// UsedBy records that a configuration uses the provider under an id, until release
// is called. Requests of all configurations are counted under the newest id.
func (r *Discovery) UsedBy(id string) (release func()) {
	u := &r.users
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ids = append(u.ids, id)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if i := slices.Index(u.ids, id); i >= 0 {
			u.ids = slices.Delete(u.ids, i, i+1)
		}
	}
}

func (u *users) newest() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ids) == 0 {
		return ""
	}
	return u.ids[len(u.ids)-1]
}

// Outage is the beginning or the end of a time during which a provider does not
// respond, or responds with metadata or keys that cannot be used.
type Outage struct {
	Over bool
	// Endpoint is the metrics name of the endpoint that failed first, and Err its
	// error.
	Endpoint string
	Err      error
}

// outage tracks which endpoints of a provider do not respond.
type outage struct {
	notify func(Outage) // may be nil

	mu      sync.Mutex
	asked   bool
	failing map[string]bool
}

// note records the result of a request. Successful metadata also clears failures of
// other endpoints, which may not be called again for long.
func (o *outage) note(endpoint string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = true
	before := len(o.failing) > 0
	switch {
	case err != nil:
		if o.failing == nil {
			o.failing = make(map[string]bool)
		}
		o.failing[endpoint] = true
	case endpoint == callDiscovery.endpoint:
		keys := o.failing[callJWKS.endpoint]
		clear(o.failing)
		if keys {
			o.failing[callJWKS.endpoint] = true
		}
	default:
		delete(o.failing, endpoint)
	}
	if now := len(o.failing) > 0; now != before && o.notify != nil {
		o.notify(Outage{Over: !now, Endpoint: endpoint, Err: err})
	}
}

// Answers reports whether the provider responded to the last request. known is
// false before the first.
func (r *Discovery) Answers() (answers, known bool) {
	r.outage.mu.Lock()
	defer r.outage.mu.Unlock()
	return len(r.outage.failing) == 0, r.outage.asked
}
