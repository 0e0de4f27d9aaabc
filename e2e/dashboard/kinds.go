package dashboard

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// timeSeries draws lines over time.
func (c *canvas) timeSeries(p *Panel, series []Series, in area) error {
	defaults := p.FieldConfig.Defaults
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, point := range s.Points {
			low, high = min(low, point.Value), max(high, point.Value)
		}
	}
	if defaults.Min != nil {
		low = *defaults.Min
	}
	if defaults.Max != nil {
		high = *defaults.Max
	}
	if high <= low {
		high = low + 1
	}
	if p.Options.Legend.ShowLegend {
		in = c.legend(series, in)
	}
	write, _ := units(defaults.Unit)
	marks := ticks(low, high, 5)
	left := 0.0
	for _, mark := range marks {
		left = max(left, textWidth(write(mark)))
	}
	in.x, in.w, in.y, in.h = in.x+left+6, in.w-left-6, in.y+6, in.h-6
	in = c.times(in)
	bottom, top := marks[0], marks[len(marks)-1]
	y := func(value float64) float64 { return in.y + in.h*(top-value)/(top-bottom) }
	for _, mark := range marks {
		fmt.Fprintf(c, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"%s\"/>\n", in.x, y(mark), in.x+in.w, gridLine)
		c.text(in.x-6, y(mark)+4, end+grey, write(mark))
	}
	for i, s := range series {
		for _, part := range c.unbroken(s.Points) {
			var line strings.Builder
			for j, point := range part {
				fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(j, 1)], c.x(point.At, in), y(point.Value))
			}
			color := colors[i%len(colors)]
			if opacity := defaults.Custom.FillOpacity; opacity > 0 {
				fmt.Fprintf(c, "<path d=\"%sV%.1fH%.1fZ\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n", line.String(), y(bottom), c.x(part[0].At, in), color, opacity/100)
			}
			fmt.Fprintf(c, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n", line.String(), color)
		}
	}
	return nil
}

// unbroken splits points where values are missing.
func (c *canvas) unbroken(points []Point) (parts [][]Point) {
	from := 0
	for i := range points {
		if i+1 == len(points) || points[i+1].At.Sub(points[i].At) > c.span.Scrape*3/2 {
			parts = append(parts, points[from:i+1])
			from = i + 1
		}
	}
	return parts
}

// stateTimeline draws a bar for each series, with a segment for each run of equal values.
func (c *canvas) stateTimeline(p *Panel, series []Series, in area) error {
	left := 0.0
	for _, s := range series {
		left = max(left, textWidth(s.Name))
	}
	in.x, in.w = in.x+left+8, in.w-left-8
	in = c.times(in)
	if p.Options.Legend.ShowLegend {
		return fmt.Errorf("a legend of states is not drawn")
	}
	lane := in.h / float64(len(series))
	bar := lane * p.Options.RowHeight
	for i, s := range series {
		y := in.y + lane*float64(i) + (lane-bar)/2
		c.text(in.x-8, y+bar/2+4, end, s.Name)
		for from := 0; from < len(s.Points); {
			to := from
			for to+1 < len(s.Points) && s.Points[to+1].Value == s.Points[from].Value {
				to++
			}
			text, color, err := p.mapped(s.Points[from].Value)
			if err != nil {
				return err
			}
			ends := s.Points[to].At.Add(c.span.Scrape)
			if ends.After(c.span.To) {
				ends = c.span.To
			}
			x, w := c.x(s.Points[from].At, in), c.x(ends, in)-c.x(s.Points[from].At, in)
			fmt.Fprintf(c, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, w, bar, color)
			if w > textWidth(text)+12 {
				c.text(x+8, y+bar/2+4, `fill="#fff"`, text)
			}
			from = to + 1
		}
	}
	return nil
}

// mapped returns the text and the color of a value, by the panel's mappings.
func (p *Panel) mapped(value float64) (text, color string, err error) {
	for _, mapping := range p.FieldConfig.Defaults.Mappings {
		if to, exists := mapping.Options[fmt.Sprint(value)]; exists && named[to.Color] != "" {
			return to.Text, named[to.Color], nil
		}
	}
	return "", "", fmt.Errorf("no mapping, or no color that is known, for the value %v", value)
}

// stat draws the last value of each series in large letters.
func (c *canvas) stat(p *Panel, series []Series, in area) error {
	write, _ := units(p.FieldConfig.Defaults.Unit)
	series = slices.DeleteFunc(slices.Clone(series), func(s Series) bool { return len(s.Points) == 0 })
	share := in.w / float64(len(series))
	for i, s := range series {
		value := s.Points[len(s.Points)-1].Value
		color := ""
		for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
			if step.Value == nil || value >= *step.Value {
				color = named[step.Color]
			}
		}
		if color == "" {
			return fmt.Errorf("no threshold with a color that is known for the value %v", value)
		}
		x := in.x + share*(float64(i)+0.5)
		c.text(x, in.y+in.h/2-18, middle, s.Name)
		c.text(x, in.y+in.h/2+24, middle+fmt.Sprintf(` font-size="36" font-weight="bold" fill="%s"`, color), write(value))
	}
	return nil
}
