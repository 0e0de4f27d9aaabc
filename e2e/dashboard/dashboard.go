// Package dashboard draws a Grafana dashboard, with the answers of Prometheus to its
// queries, as one SVG. It supports the panel types, options, and units in
// deploy/grafana.json and refuses all others, so that a picture never omits something
// silently. It is not a Grafana: it ignores what a still picture cannot show, such as
// tooltips.
package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Dashboard is the content of a dashboard file.
type Dashboard struct {
	Title  string
	Panels []Panel

	// The other fields matter only in Grafana.
	UID, Refresh, Timezone        string
	Tags                          []string
	SchemaVersion, Version        int
	Editable                      bool
	GraphTooltip                  int
	Time, Annotations, Templating json.RawMessage
}

// Panel is a panel or a row, which is a heading for the panels below it.
type Panel struct {
	ID                       int
	Title, Type, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults  Defaults
		Overrides []json.RawMessage
	}
	Options    Options
	Targets    []Target
	Datasource json.RawMessage
	Collapsed  bool
	Panels     []json.RawMessage // of a collapsed row
}

// Target is a query with the legend of its series.
type Target struct {
	RefID, Expr, LegendFormat string
	Datasource                json.RawMessage
}

// Defaults says how to show the values of a panel.
type Defaults struct {
	Unit, NoValue string
	Min, Max      *float64
	Color         struct{ Mode string }
	Custom        struct {
		FillOpacity float64
		ShowPoints  string
	}
	Mappings []struct {
		Type    string
		Options map[string]struct {
			Text, Color string
			Index       int
		}
	}
	Thresholds struct {
		Mode  string
		Steps []struct {
			Color string
			Value *float64 // nil: from the lowest value on
		}
	}
}

// Options says how a panel looks.
type Options struct {
	Legend struct {
		DisplayMode, Placement string
		ShowLegend             bool
	}
	ReduceOptions struct {
		Calcs  []string
		Fields string
		Values bool
	}
	ColorMode, GraphMode, JustifyMode, Orientation, TextMode string  // of a stat
	ShowValue, AlignValue                                    string  // of a state timeline
	MergeValues                                              bool    // of a state timeline
	RowHeight                                                float64 // of a state timeline
	Tooltip                                                  json.RawMessage
}

// Read parses a dashboard file.
func Read(text []byte) (*Dashboard, error) {
	d := &Dashboard{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	for _, p := range d.Panels {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	return d, nil
}

// check returns an error for anything in the panel that would not be drawn.
func (p *Panel) check() error {
	if p.Type == "row" {
		if p.Collapsed || len(p.Panels) > 0 || len(p.Targets) > 0 {
			return fmt.Errorf("a row that is collapsed, or has queries, is not drawn")
		}
		return nil
	}
	if kinds[p.Type] == nil {
		return fmt.Errorf("the type %q is not drawn", p.Type)
	}
	if len(p.Targets) == 0 {
		return fmt.Errorf("it has no query")
	}
	for _, target := range p.Targets {
		if rest := strings.ReplaceAll(target.Expr, rateInterval, ""); rest == "" || strings.Contains(rest, "$") {
			return fmt.Errorf("the query is empty, or has a variable other than %s: %q", rateInterval, target.Expr)
		}
	}
	if len(p.FieldConfig.Overrides) > 0 {
		return fmt.Errorf("overrides are not drawn")
	}
	if err := p.FieldConfig.Defaults.check(); err != nil {
		return err
	}
	return p.Options.check()
}

func (d *Defaults) check() error {
	if _, known := units(d.Unit); !known {
		return fmt.Errorf("the unit %q is not known", d.Unit)
	}
	for _, mapping := range d.Mappings {
		if mapping.Type != "value" {
			return fmt.Errorf("the mapping %q is not drawn", mapping.Type)
		}
	}
	return onlyDrawn([]choice{
		{"mode of thresholds", d.Thresholds.Mode, "absolute"},
		{"mode of colors", d.Color.Mode, "thresholds"},
		{"mode of points", d.Custom.ShowPoints, "never"},
	})
}

func (o *Options) check() error {
	return onlyDrawn([]choice{
		{"mode of the legend", o.Legend.DisplayMode, "list"},
		{"placement of the legend", o.Legend.Placement, "bottom"},
		{"calculation", strings.Join(o.ReduceOptions.Calcs, " "), "lastNotNull"},
		{"fields", o.ReduceOptions.Fields, ""},
		{"colorMode", o.ColorMode, "value"},
		{"graphMode", o.GraphMode, "none"},
		{"justifyMode", o.JustifyMode, "auto"},
		{"orientation", o.Orientation, "auto"},
		{"textMode", o.TextMode, "value_and_name"},
		{"showValue", o.ShowValue, "auto"},
		{"alignValue", o.AlignValue, "left"},
	})
}

// choice is an option with the only value that is drawn.
type choice struct{ name, value, drawn string }

func onlyDrawn(choices []choice) error {
	for _, c := range choices {
		if c.value != "" && c.value != c.drawn {
			return fmt.Errorf("the %s %q is not drawn", c.name, c.value)
		}
	}
	return nil
}
