package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// A run is the result of one plan. The page shows the last run of each plan.
type run struct {
	Plan    string            `json:"plan"`
	Commit  string            `json:"commit"`
	Date    string            `json:"date"` // of the run, or of the commit if the driver did not make the run
	Suite   string            `json:"suite"`
	By      string            `json:"by"`
	Note    string            `json:"note,omitempty"`
	Results map[string]string `json:"results"`          // by module
	Broken  map[string]string `json:"broken,omitempty"` // by module: what did not hold on our side; "" for the plan as a whole
}

const byDriver = "driver"

func (r *run) broken(module, what string) {
	if r.Broken == nil {
		r.Broken = map[string]string{}
	}
	r.Broken[module] = what
}

func (r *run) take(module string, o outcome) {
	r.Results[module] = o.result
	if o.version != "" {
		r.Suite = o.version
	}
	if o.own != "" {
		r.broken(module, o.own)
	}
}

// unexpected returns the modules whose result is not the expected one.
func (r *run) unexpected(p plan) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Results)) {
		m, known := p.module(name)
		if !known || !m.as(r.Results[name], r.Broken[name]) {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Broken)) {
		if _, counted := r.Results[name]; !counted {
			names = append(names, name)
		}
	}
	return names
}

// results are the last runs by the name of the plan.
type results map[string]*run

func readResults(file string) (results, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return results{}, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*run
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	rs := results{}
	for _, r := range all {
		if _, err := planNamed(r.Plan); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rs[r.Plan] = r
	}
	return rs, nil
}

// write writes the results in the order of the tables.
func (rs results) write(file string) error {
	var all []*run
	for _, g := range groups {
		for _, p := range g.plans {
			if r := rs[p.name]; r != nil {
				all = append(all, r)
			}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(all); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}
