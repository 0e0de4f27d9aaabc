package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report has all results.
type report struct {
	rows                []*result
	logins              []*logins
	starts, plainStarts []float64 // milliseconds
	benchmarks          map[string]*figures
}

// The lines around the tables.
const (
	beginMark = "<!-- bench/run writes from here -->\n"
	endMark   = "<!-- to here -->\n"
)

// between replaces the text between the marks with tables.
func between(text, tables string) (string, error) {
	head, rest, found := strings.Cut(text, beginMark)
	_, tail, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		return "", fmt.Errorf("the file has no lines %q and %q, in this order", strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return head + beginMark + tables + endMark + tail, nil
}

// into writes the tables between the marks of a file.
func (r *report) into(name string, w *world) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var tables bytes.Buffer
	if err := r.write(&tables, w); err != nil {
		return err
	}
	text, err := between(string(old), tables.String())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

// write writes the tables as Markdown.
func (r *report) write(out io.Writer, w *world) error {
	var b strings.Builder
	b.WriteString("\n" + r.facts(w) + "\n### Whole process\n\n" +
		"| case | × plain Caddy, same bytes | 95 % of the median | range | aim | × plain Caddy, no cookie | 95 % of the median | aim | CPU µs/request | plain Caddy: same bytes, no cookie | session cookie B | one connection p50 / p99 µs | plain p50 / p99 µs | RSS MiB idle → load |\n" +
		"| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n")
	for _, m := range r.rows {
		low, high := interval(m.ratios)
		bareLow, bareHigh := interval(m.toBare)
		fmt.Fprintf(&b, "| %s | **%.2f** | %.2f–%.2f | %.2f–%.2f | %s | **%.2f** | %.2f–%.2f | %s | %.1f | %.1f, %.1f | %d | %d / %d | %d / %d | %d → %d |\n",
			m.name, median(m.ratios), low, high, slices.Min(m.ratios), slices.Max(m.ratios), atMost(m.aim), median(m.toBare), bareLow, bareHigh, atMost(m.bareAim), m.micros, m.floor, m.bare, m.cookie,
			m.p50.Microseconds(), m.p99.Microseconds(), m.floor50.Microseconds(), m.floor99.Microseconds(), m.idle>>10, m.loaded>>10)
	}
	b.WriteString("\n### Logins and start\n\n| | CPU ms of the relying party [range] | aim | logins/s |\n| --- | --: | --: | --: |\n")
	for _, l := range r.logins {
		fmt.Fprintf(&b, "| login, %s | %.2f [%.2f–%.2f] | %s | %.0f |\n", l.user, median(l.millis), slices.Min(l.millis), slices.Max(l.millis), atMost(l.aim), l.loginsPerSecond)
	}
	b.WriteString("\n| | ms to the first answer [range] |\n| --- | --: |\n")
	for _, s := range []struct {
		name   string
		millis []float64
	}{{"with the directive", r.starts}, {"plain Caddy", r.plainStarts}} {
		fmt.Fprintf(&b, "| %s | %.0f [%.0f–%.0f] |\n", s.name, median(s.millis), slices.Min(s.millis), slices.Max(s.millis))
	}
	b.WriteString("\n### In process\n\n| case | CPU time [range] | allocations | bytes | aim |\n| --- | --: | --: | --: | --: |\n")
	next := r.benchmarks[alone]
	for _, p := range inProcesses {
		f, less := r.benchmarks[p.benchmark], 0.0
		if p.isRequest() {
			less = median(next.nanos)
		}
		fmt.Fprintf(&b, "| %s | %s [%s–%s] | %.0f | %.0f | %s |\n", p.title(),
			nanos(median(f.nanos)-less), nanos(slices.Min(f.nanos)-less), nanos(slices.Max(f.nanos)-less), median(f.allocs), median(f.bytes), p.aim)
	}
	b.WriteString("\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// atMost formats an aim, or returns "" if there is none.
func atMost(aim float64) string {
	if aim == 0 {
		return ""
	}
	return fmt.Sprintf("≤ %.2f", aim)
}

// nanos formats a number of nanoseconds with about three significant digits.
func nanos(value float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e6, "ms"}, {1e3, "µs"}} {
		if value >= unit.size {
			digits := 2
			if value >= 10*unit.size {
				digits = 1
			}
			return fmt.Sprintf("%.*f %s", digits, value/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0f ns", value)
}

// facts describes the machine and the run.
func (r *report) facts(w *world) string {
	caddy := "unknown"
	if info, err := buildinfo.ReadFile(w.binary); err == nil {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/caddyserver/caddy/v2" {
				caddy = dependency.Version
			}
		}
	}
	var foreign []float64
	for _, m := range r.rows {
		foreign = append(foreign, 100*m.foreign)
	}
	name, cores := processor()
	return fmt.Sprintf("Measured on %s: %s, %d cores, %s, %s, Caddy %s. Server on core %d, all else on core %d. "+
		"%d rounds of %d requests a slice, %d connections. Other processes and the kernel had %.0f to %.0f %% of the server's core.\n",
		time.Now().Format("2 January 2006"), name, cores, runtime.GOOS+"/"+runtime.GOARCH, runtime.Version(), caddy, w.core, w.loadCore,
		w.size.rounds, w.size.requests, w.size.connections, slices.Min(foreign), slices.Max(foreign))
}

// processor returns the name of the processor and the number of cores of the
// machine, which may be more than this process may use.
func processor() (name string, cores int) {
	name = "an unknown processor"
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return name, runtime.NumCPU()
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			cores++
		case "model name":
			name = strings.TrimSpace(value)
		}
	}
	return name, cores
}
