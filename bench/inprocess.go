package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// figures has the results of each run of a benchmark, per operation. nanos is
// CPU time, which does not depend on the load of the machine.
type figures struct{ nanos, bytes, allocs []float64 }

var benchmarkLine = regexp.MustCompile(`^Benchmark(\S+)\s+\d+\s+[\d.]+ ns/op\s+([\d.]+) cpu-ns/op\s+(\d+) B/op\s+(\d+) allocs/op`)

// parseBenchmarks parses the output of go test -bench.
func parseBenchmarks(output string) map[string]*figures {
	all := make(map[string]*figures)
	for line := range strings.Lines(output) {
		m := benchmarkLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		f := all[m[1]]
		if f == nil {
			f = new(figures)
			all[m[1]] = f
		}
		for i, into := range []*[]float64{&f.nanos, &f.bytes, &f.allocs} {
			value, err := strconv.ParseFloat(m[2+i], 64)
			if err == nil {
				*into = append(*into, value)
			}
		}
	}
	return all
}

// measureInProcess runs the benchmarks of the plugin's package on the server's
// core. It returns an error if a benchmark in the table was not run.
func (w *world) measureInProcess(ctx context.Context, into *report) error {
	output := ""
	for _, group := range []struct{ benchmarks, times string }{{"^Benchmark(Request|AccessKey|AccessToken|Check)$", w.size.times}, {"^BenchmarkLogin$", w.size.logs}} {
		command := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(w.core), w.tests, "-test.run", "^$", "-test.bench", group.benchmarks,
			"-test.benchtime", group.times, "-test.count", strconv.Itoa(w.size.count), "-test.cpu", "1")
		command.Dir = ".."
		command.Stderr = os.Stderr
		text, err := command.Output()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, text)
		}
		output += string(text)
	}
	into.benchmarks = parseBenchmarks(output)
	for _, name := range append([]string{alone}, names(inProcesses)...) {
		if f := into.benchmarks[name]; f == nil || len(f.nanos) != w.size.count {
			return fmt.Errorf("the benchmark %s was not run", name)
		}
	}
	return nil
}

func names(all []inProcess) (names []string) {
	for _, b := range all {
		names = append(names, b.benchmark)
	}
	return names
}
