package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// pageText is the template of the page.
//
//go:embed page.md
var pageText string

// page returns docs/conformance.md, made from the last results.
func (rs results) page() ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"plans":    rs.plansTable,
		"modules":  rs.modulesTable,
		"absent":   absentList,
		"notes":    rs.notes,
		"byOthers": rs.byOthers,
		"untried":  rs.untried,
	}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, groups); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// plansTable returns a table with a row for each plan of a group.
func (rs results) plansTable(i int) string {
	var b strings.Builder
	b.WriteString("| plan | at the suite | in the Caddyfile | as expected | run |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range groups[i].plans {
		asExpected, when := "not run", ""
		if r := rs[p.name]; r != nil {
			asExpected = rs.summary(p, r)
			when = fmt.Sprintf("%s, %s, %s", r.Date, r.Commit, r.Suite)
		}
		fmt.Fprintf(&b, "| %s | `%s`%s | %s | %s | %s |\n", p.name, p.atSuite, choice(p), oneLine(p.options), asExpected, when)
	}
	return b.String()
}

// summary returns how many modules have the expected result.
func (rs results) summary(p plan, r *run) string {
	count, good, absent := 0, 0, 0
	for name, result := range r.Results {
		m, known := p.module(name)
		switch {
		case known && m.absent != "" && result != passed:
			absent++
		case known && m.as(result, r.Broken[name]):
			good++
			count++
		default:
			count++
		}
	}
	text := fmt.Sprintf("%d of %d", good, count)
	if good < count {
		text = "**" + text + "**"
	}
	if absent > 0 {
		text += fmt.Sprintf(", %d not offered", absent)
	}
	return text
}

// choice returns the variants by which plans with the same name at the suite differ.
func choice(p plan) string {
	var all []string
	for _, name := range []string{"client_auth_type", "response_mode", "sender_constrain", "fapi_response_mode"} {
		if value := p.variant[name]; value != "" && value != "default" {
			all = append(all, value)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ", " + strings.Join(all, ", ")
}

// oneLine formats Caddyfile lines for a table cell.
func oneLine(options string) string {
	var all []string
	depth := 0
	for line := range strings.Lines(options) {
		line = strings.TrimSpace(line)
		if depth == 0 {
			all = append(all, line)
		} else {
			all[len(all)-1] += " " + line
		}
		switch {
		case strings.HasSuffix(line, "{"):
			depth++
		case line == "}":
			depth--
		}
	}
	return "`" + strings.Join(all, "` `") + "`"
}

// modulesTable returns a table with a row for each module in the runs of a group, and a
// column for each plan.
func (rs results) modulesTable(i int) string {
	var ran []plan
	for _, p := range groups[i].plans {
		if rs[p.name] != nil {
			ran = append(ran, p)
		}
	}
	if len(ran) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| module | the provider there |")
	for _, p := range ran {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString("\n| --- | --- |" + strings.Repeat(" :-: |", len(ran)) + "\n")
	for _, m := range ran[0].modules {
		marks := make([]string, len(ran))
		for i, p := range ran {
			marks[i] = rs.mark(p, m.name)
		}
		if strings.Join(marks, "") == "" {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.name, m.about, strings.Join(marks, " | "))
	}
	return b.String()
}

// mark returns the content of a table cell.
func (rs results) mark(p plan, name string) string {
	result, ran := rs[p.name].Results[name]
	if !ran {
		return ""
	}
	m, _ := p.module(name)
	broken := rs[p.name].Broken[name] != ""
	switch {
	case broken && m.absent == "":
		return "**our side**"
	case result == passed:
		return "✓"
	case m.absent != "":
		return "–"
	case result == m.accept:
		return map[string]string{skipped: "✓ S", review: "✓ R", warning: "✓ W"}[result]
	}
	return "**" + strings.ToLower(result) + "**"
}

// absentList says why some modules are not expected to pass.
func absentList() string {
	var lines []string
	for _, g := range groups {
		for _, p := range g.plans {
			for _, m := range p.modules {
				if row, _ := p.module(m.name); row.absent != "" {
					line := fmt.Sprintf("- `%s`: %s.", m.name, row.absent)
					if m.absent == "" {
						line = fmt.Sprintf("- `%s` in the plan `%s`: %s.", m.name, p.name, row.absent)
					}
					if !slices.Contains(lines, line) {
						lines = append(lines, line)
					}
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}

// notes returns the notes on the runs of this page.
func (rs results) notes() string {
	var lines []string
	for _, g := range groups {
		for _, p := range g.plans {
			if r := rs[p.name]; r != nil && r.Note != "" {
				lines = append(lines, fmt.Sprintf("- `%s`: %s", p.name, r.Note))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// byOthers returns the commits whose runs come from another client.
func (rs results) byOthers() string {
	var commits []string
	for _, r := range rs {
		if r.By != byDriver && !slices.Contains(commits, r.Commit) {
			commits = append(commits, r.Commit)
		}
	}
	slices.Sort(commits)
	return strings.Join(commits, ", ")
}

// untried reports whether the driver made none of the runs.
func (rs results) untried() bool {
	for _, r := range rs {
		if r.By == byDriver {
			return false
		}
	}
	return true
}
