// Package doctor examines what a configuration needs in order to work: its
// providers, over the network, and its session stores, directories and storage. It
// reports problems to the operator, with what to do about them.
//
// It connects to providers with the clients of package op, so proxies, certificate
// authorities and client certificates are the same as for logins. Its requests there
// involve no user, yield no token and change nothing. It does not import Caddy or
// read configurations; its caller describes them. It never prints a secret.
package doctor

import "slices"

// Status is the result of a check.
type Status string

const (
	OK      Status = "ok"
	Failed  Status = "failed"  // some or all logins cannot work
	Warning Status = "warning" // probably a mistake
	// Info is for facts that are neither right nor wrong, and for what could
	// not be determined.
	Info Status = "info"
)

// Check is one result of an examination.
type Check struct {
	// Name identifies the check. It does not change between releases.
	Name   string `json:"check"`
	Status Status `json:"status"`
	// Message is what was found. Details are additional lines.
	Message string   `json:"message"`
	Details []string `json:"details,omitempty"`
	// Remedy is what to do about it.
	Remedy string `json:"remedy,omitempty"`
	// File and Line locate the mistake in the configuration, if that is known.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Address is a URI to register at a provider.
type Address struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Provider has the results for a provider of a site.
type Provider struct {
	ID     string `json:"id"`
	Issuer string `json:"issuer"`
	// As is the name of another site that already has the checks of the same
	// provider, or "".
	As     string  `json:"as,omitempty"`
	Checks []Check `json:"checks"`
	// Register has the URIs to register at the provider.
	Register []Address `json:"register"`
}

// Site has the results for a site.
type Site struct {
	Name      string     `json:"site"`
	Providers []Provider `json:"providers"`
	Checks    []Check    `json:"checks"`
}

// Add adds checks that the site does not have yet. Several instances of a site
// may have the same.
func (s *Site) Add(checks []Check) {
	for _, c := range checks {
		if !slices.ContainsFunc(s.Checks, func(other Check) bool { return other.Name == c.Name && other.Message == c.Message }) {
			s.Checks = append(s.Checks, c)
		}
	}
}

// Report has all results.
type Report struct {
	// Config is the name of the configuration, as given by the operator.
	Config string `json:"config"`
	Sites  []Site `json:"sites"`
	// Checks are about the whole configuration.
	Checks   []Check `json:"checks"`
	Failures int     `json:"failures"`
	Warnings int     `json:"warnings"`
}

// all returns every check of the report.
func (r *Report) all() (all []Check) {
	for _, site := range r.Sites {
		for _, p := range site.Providers {
			all = append(all, p.Checks...)
		}
		all = append(all, site.Checks...)
	}
	return append(all, r.Checks...)
}

// Count sets Failures and Warnings.
func (r *Report) Count() {
	r.Failures, r.Warnings = 0, 0
	for _, check := range r.all() {
		switch check.Status {
		case Failed:
			r.Failures++
		case Warning:
			r.Warnings++
		}
	}
}

// The exit codes of the command.
const (
	exitFine     = 0
	exitWarnings = 1
	exitFailures = 2
)

// ExitCode returns the exit code of the command. Warnings count only if strict is
// set.
func (r *Report) ExitCode(strict bool) int {
	switch {
	case r.Failures > 0:
		return exitFailures
	case r.Warnings > 0 && strict:
		return exitWarnings
	}
	return exitFine
}

// Examination collects checks.
type Examination struct{ Checks []Check }

func (e *Examination) add(status Status, name, message, remedy string, details ...string) {
	e.Checks = append(e.Checks, Check{Name: name, Status: status, Message: message, Remedy: remedy, Details: slices.Clip(details)})
}

func (e *Examination) ok(name, message string) { e.add(OK, name, message, "") }

func (e *Examination) info(name, message string) { e.add(Info, name, message, "") }

func (e *Examination) warn(name, message, remedy string) { e.add(Warning, name, message, remedy) }

func (e *Examination) fail(name, message, remedy string) { e.add(Failed, name, message, remedy) }
