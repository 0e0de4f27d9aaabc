package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A driver runs plans of a suite against Caddys that it starts.
type driver struct {
	suite       *suite
	http        *http.Client // for the browser; it follows no redirects
	credentials *credentials
	caddy       string // path of the program
	commit      string // that it was built from
	origin      string // of the site
	bind        string
	trust       string
	limit       time.Duration // for everything that the driver waits for
	only        string        // the only module to run, or "" for all
	out         io.Writer
}

// run runs a plan and returns the result of each module.
func (d *driver) run(ctx context.Context, p plan) (*run, error) {
	created, err := d.suite.createPlan(ctx, p.atSuite, p.variant, p.config(d.origin, d.commit, d.credentials))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.out, "\n%s: %s, %splan-detail.html?plan=%s\n", p.name, p.atSuite, d.suite.base, created.ID)
	r := &run{Plan: p.name, Commit: d.commit, Date: time.Now().UTC().Format(time.DateOnly), By: byDriver, Results: map[string]string{}}
	if len(created.Modules) < p.least {
		r.broken("", fmt.Sprintf("modules of the plan: expected at least %d, seen %d", p.least, len(created.Modules)))
	}
	seen := map[string]bool{}
	for _, c := range created.Modules {
		name := nameOf(c.Name)
		seen[name] = true
		if !p.runs(name) || d.only != "" && d.only != name {
			continue
		}
		m, known := p.module(name)
		if !known {
			r.broken(name, "the suite has a module that the table of modules does not know")
			continue
		}
		o, err := d.module(ctx, p, m, created.ID, c)
		if err != nil {
			return r, fmt.Errorf("%s, %s: %w", p.name, name, err)
		}
		r.take(name, o)
		d.report(m, o)
	}
	for _, name := range p.only {
		if !seen[name] {
			r.broken(name, "the suite's plan does not have this module")
		}
	}
	return r, nil
}

func (d *driver) report(m module, o outcome) {
	mark := "  "
	if !m.as(o.result, o.own) {
		mark = "! "
	}
	fmt.Fprintf(d.out, "%s%-70s %s\n", mark, m.name, o.result)
	if mark == "  " {
		return
	}
	if o.own != "" {
		fmt.Fprintf(d.out, "    our side: %s\n", o.own)
	}
	for _, f := range o.failures {
		fmt.Fprintf(d.out, "    the suite: %s\n", f)
	}
}

// An outcome is the result of a module.
type outcome struct {
	result   string
	own      string // what does not hold on our side, or ""
	failures []string
	version  string // of the suite
}

// module runs a module until it waits for the site, at most as often as its row allows.
func (d *driver) module(ctx context.Context, p plan, m module, planID string, c createdModule) (o outcome, err error) {
	for range max(1, m.tries) {
		var began bool
		if o, began, err = d.attempt(ctx, p, m, planID, c); err != nil || began {
			break
		}
	}
	return o, err
}

// attempt runs a module once. It returns an error only if the suite's interface fails.
// What goes wrong on our side is part of the outcome.
func (d *driver) attempt(ctx context.Context, p plan, m module, planID string, c createdModule) (o outcome, began bool, err error) {
	i, err := d.suite.startModule(ctx, planID, c)
	if err != nil {
		return o, false, err
	}
	now, err := d.suite.await(ctx, i.ID, d.limit, statusWaiting)
	if err != nil && !errors.Is(err, errLate) {
		return o, false, err
	}
	began = now.Status == statusWaiting
	if began {
		x, own := d.perform(ctx, p, m, i)
		if x != nil {
			defer x.stop() // only once the suite has seen what it waits for, or that no request arrives
		}
		if own != nil {
			o.own = own.Error()
		}
		began = !errors.Is(own, errOver)
	}
	o, err = d.judge(ctx, m, i, o)
	return o, began, err
}

// perform does what the module waits for, and then checks what must hold. It leaves the
// site running.
func (d *driver) perform(ctx context.Context, p plan, m module, i *instance) (*site, error) {
	issuer := i.URL + "/"
	x, err := startSite(ctx, settings{
		caddy: d.caddy, origin: d.origin, bind: d.bind, issuer: issuer,
		options: p.optionsFor(m), trust: d.trust, credentials: d.credentials,
	})
	if err != nil {
		return nil, err
	}
	a := &attempt{suite: d.suite, instance: i, issuer: issuer, site: x, browser: newBrowser(d.http, d.origin), http: d.http, limit: d.limit}
	a.browser.check = checkResponse
	if m.absent != "" {
		_ = m.do(ctx, a) // only to see how far it gets
		return x, nil
	}
	return x, then(m.do, m.own, guarded)(ctx, a)
}

// judge waits until the module has ended and adds the suite's result.
func (d *driver) judge(ctx context.Context, m module, i *instance, o outcome) (outcome, error) {
	limit := d.limit
	if o.own != "" {
		limit = min(limit, 15*time.Second) // the site will send no further requests
	}
	last, err := d.suite.await(ctx, i.ID, limit)
	if err != nil && !errors.Is(err, errLate) {
		return o, err
	}
	o.version = last.Version
	switch {
	case !last.ended():
		o.result = waits
		if err := d.suite.cancel(ctx, i.ID); err != nil {
			return o, err
		}
	case last.Result == "" || last.Status == statusInterrupted && last.Result != skipped:
		o.result = failed
	default:
		o.result = last.Result
	}
	if m.as(o.result, o.own) {
		return o, nil
	}
	o.failures, err = d.suite.failures(ctx, i.ID)
	return o, err
}
