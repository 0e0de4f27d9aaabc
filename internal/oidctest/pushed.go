package oidctest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// requestURILife is how long a pushed request is valid.
const requestURILife = time.Minute

// pushed is the endpoint for pushed authorization requests (RFC 9126, section
// 2). It takes the parameters of an authorization request from an authenticated
// client. These are checked only when the request is used.
func (p *Provider) pushed(req Request, lies *Faults) answer {
	for name := range req.Query {
		p.violate("F01", "%s is in the query of the pushed request", name)
	}
	if refusal := p.authenticate(req); refusal != nil {
		return *refusal
	}
	jkt, refusal := p.prove(req, lies, "")
	if refusal != nil {
		return *refusal
	}
	form := cloneValues(req.Form)
	if named := p.namedKey(form); named != jkt {
		p.violate("DP", "the pushed request has the key %q in its proof, and %q in dpop_jkt", jkt, named)
		return refuse(http.StatusBadRequest, "invalid_dpop_proof", "dpop_jkt")
	}
	if form.Get("client_id") != p.Client().ID {
		p.violate("F01", "client_id is missing in the pushed request")
		return refuse(http.StatusBadRequest, "invalid_request", "no client_id")
	}
	if form.Has("request_uri") {
		p.violate("F01", "a request_uri is pushed")
		return refuse(http.StatusBadRequest, "invalid_request", "request_uri")
	}
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		form.Del(name)
	}
	requestURI := "urn:ietf:params:oauth:request_uri:" + rand.Text() + "/+&=" // clients must escape this
	p.mu.Lock()
	p.requests[requestURI] = pushedRequest{form, p.conf.now().Add(requestURILife)}
	p.mu.Unlock()
	members := map[string]any{"request_uri": requestURI, "expires_in": int(requestURILife.Seconds())}
	if lies.Pushed != nil {
		lies.Pushed(members)
	}
	return document(http.StatusCreated, members)
}

type pushedRequest struct {
	form url.Values
	dies time.Time
}

// pulled returns the parameters of an authorization request: if the provider
// requires pushed requests, those that were pushed under its request_uri. Other
// parameters next to request_uri are a violation. stop is the reason to refuse
// the request, or "".
func (p *Provider) pulled(q url.Values) (meant url.Values, stop string) {
	if !p.conf.pushed {
		return q, ""
	}
	if !q.Has("request_uri") {
		p.violate("F01", "the authorization request was not pushed")
		return q, "pushed requests are required"
	}
	if names := sortedNames(q); !slices.Equal(names, []string{"client_id", "request_uri"}) {
		p.violate("F01", "the authorization request has %q beside request_uri", names)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	request, known := p.requests[q.Get("request_uri")]
	if !known || p.conf.now().After(request.dies) || q.Get("client_id") != request.form.Get("client_id") {
		return q, "unknown request_uri"
	}
	return request.form, ""
}

// namedKey returns the dpop_jkt of a request, which may be in a request object. The
// request object is verified when the request is used.
func (p *Provider) namedKey(form url.Values) string {
	if !form.Has("request") {
		return form.Get("dpop_jkt")
	}
	var members struct {
		Thumbprint string `json:"dpop_jkt"`
	}
	_, payload, _ := p.openRequestObject(form.Get("request"))
	_ = json.Unmarshal(payload, &members) // without valid JSON, there is no key
	return members.Thumbprint
}
