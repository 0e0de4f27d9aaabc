// Package doctor examines what a configuration needs to work: its providers, as they
// answer over the network, and the places where it keeps things. It reports what it
// finds to an operator, each time with a line that says what to do.
//
// It asks providers by the clients of package op, so that proxies, authorities and
// client certificates are those of logins. What it tries there names no user, brings
// no token and changes nothing. It does not know Caddy, nor how a configuration is
// written; its caller describes that. It prints no secret.
package doctor

import "slices"

// Status is what a check found.
type Status string

const (
	OK      Status = "ok"
	Failed  Status = "failed"  // logins, or a part of them, cannot work
	Warning Status = "warning" // is likely to be a mistake
	// Info is what nothing is wrong with, and what could not be found out.
	Info Status = "info"
)

// Check is one thing that was looked at.
type Check struct {
	// Name is that of the check. It does not change between releases.
	Name   string `json:"check"`
	Status Status `json:"status"`
	// Message is what was found, and Details are lines that belong to it.
	Message string   `json:"message"`
	Details []string `json:"details,omitempty"`
	// Remedy is what to do about it.
	Remedy string `json:"remedy,omitempty"`
	// File and Line are where a configuration is wrong, as far as that is known.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Address is something to register at a provider.
type Address struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Provider is what was found of a provider of a site.
type Provider struct {
	ID     string `json:"id"`
	Issuer string `json:"issuer"`
	// As is the site at which the checks of the same provider are, if it is another
	// one.
	As     string  `json:"as,omitempty"`
	Checks []Check `json:"checks"`
	// Register are the addresses that the provider has to know.
	Register []Address `json:"register"`
}

// Site is what was found of a site.
type Site struct {
	Name      string     `json:"site"`
	Providers []Provider `json:"providers"`
	Checks    []Check    `json:"checks"`
}

// Add adds checks, each once: several instances of a site may need the same.
func (s *Site) Add(checks []Check) {
	for _, c := range checks {
		if !slices.ContainsFunc(s.Checks, func(other Check) bool { return other.Name == c.Name && other.Message == c.Message }) {
			s.Checks = append(s.Checks, c)
		}
	}
}

// Report is all that was found.
type Report struct {
	// Config is the configuration as the operator named it.
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

// Count counts what is wrong.
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

// ExitCode returns the exit code of the command. Warnings matter if it is strict.
func (r *Report) ExitCode(strict bool) int {
	switch {
	case r.Failures > 0:
		return exitFailures
	case r.Warnings > 0 && strict:
		return exitWarnings
	}
	return exitFine
}

// Examination collects the checks of one subject.
type Examination struct{ Checks []Check }

func (e *Examination) add(status Status, name, message, remedy string, details ...string) {
	e.Checks = append(e.Checks, Check{Name: name, Status: status, Message: message, Remedy: remedy, Details: slices.Clip(details)})
}

func (e *Examination) ok(name, message string) { e.add(OK, name, message, "") }

func (e *Examination) info(name, message string) { e.add(Info, name, message, "") }

func (e *Examination) warn(name, message, remedy string) { e.add(Warning, name, message, remedy) }

func (e *Examination) fail(name, message, remedy string) { e.add(Failed, name, message, remedy) }
