package oidcidp

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// counters has the counters of this process, for all configurations, so that a
// reload does not reset them.
type counters struct {
	signIns, requests, externals, mails *prometheus.CounterVec
}

var counted = counters{
	signIns:   newCounter("sign_ins_total", "Sign-ins at the identity provider, by what came of them and the factor.", "outcome", "factor"),
	requests:  newCounter("requests_total", "Requests at the endpoints of the protocol, by what came of them.", "endpoint", "outcome"),
	externals: newCounter("external_logins_total", "Logins at external providers, by what came of them.", "external", "outcome"),
	mails:     newCounter("mails_total", "Mails, by what they are about and what came of them.", "kind", "outcome"),
}

func newCounter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "caddy", Subsystem: "oidc_idp", Name: name, Help: help}, labels)
}

// register adds the counters to the registry of a configuration.
func (c *counters) register(registry prometheus.Registerer) error {
	for _, vec := range []*prometheus.CounterVec{c.signIns, c.requests, c.externals, c.mails} {
		err := registry.Register(vec)
		var twice prometheus.AlreadyRegisteredError
		if err != nil && !errors.As(err, &twice) {
			return err
		}
	}
	return nil
}

// SignIn implements server.Metrics.
func (c *counters) SignIn(outcome, factor string) { c.signIns.WithLabelValues(outcome, factor).Inc() }

// Endpoint implements server.Metrics.
func (c *counters) Endpoint(endpoint, outcome string) {
	c.requests.WithLabelValues(endpoint, outcome).Inc()
}

// External implements server.Metrics.
func (c *counters) External(external, outcome string) {
	c.externals.WithLabelValues(external, outcome).Inc()
}

// Mail implements server.Metrics.
func (c *counters) Mail(kind, outcome string) { c.mails.WithLabelValues(kind, outcome).Inc() }
