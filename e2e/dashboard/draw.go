package dashboard

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// Measures of the picture in pixels. The grid of a dashboard has 24 columns.
const (
	width    = 1440
	edge     = 16
	gap      = 8
	unitY    = 38 // of one row of the grid, with the gap
	heading  = 56
	letter   = 12   // font size
	wide     = 0.63 // greatest width of a letter, as a fraction of the font size
	ink      = "#1f2328"
	pale     = "#656d76"
	gridLine = "#e6e8eb"
)

var colors = []string{"#2f9e44", "#1c7ed6", "#f08c00", "#e03131", "#7048e8", "#0c8599", "#c2255c", "#66a80f", "#a0522d", "#495057"}

// named maps the color names in mappings and thresholds to colors.
var named = map[string]string{"green": "#2f9e44", "red": "#e03131"}

// area is a rectangle to draw in.
type area struct{ x, y, w, h float64 }

// kinds are the functions that draw each type of panel in the area below its title.
var kinds = map[string]func(*canvas, *Panel, []Series, area) error{
	"timeseries":     (*canvas).timeSeries,
	"state-timeline": (*canvas).stateTimeline,
	"stat":           (*canvas).stat,
}

// canvas is a picture being drawn.
type canvas struct {
	strings.Builder
	span Span
}

// Draw returns the dashboard as an SVG, in light colors.
func (d *Dashboard) Draw(answers Answers, span Span) (string, error) {
	rows := 0
	for _, p := range d.Panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	height := heading + rows*unitY + edge
	c := &canvas{span: span}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="'DejaVu Sans',sans-serif" font-size="%d" fill="%s">`, width, height, letter, ink)
	fmt.Fprintf(c, "\n<rect width=\"%d\" height=\"%d\" fill=\"#f4f5f5\"/>\n", width, height)
	c.text(edge, 36, `font-size="20" font-weight="bold"`, d.Title)
	c.text(width-edge, 36, end+grey, span.From.Format("15:04:05")+" to "+span.To.Format("15:04:05"))
	for _, p := range d.Panels {
		var series []Series
		for _, target := range p.Targets {
			series = append(series, answers[target.Expr]...)
		}
		if err := c.panel(&p, series); err != nil {
			return "", fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	c.WriteString("</svg>\n")
	return c.String(), nil
}

const (
	end    = ` text-anchor="end"`
	middle = ` text-anchor="middle"`
	grey   = ` fill="` + pale + `"`
)

// text writes a line of text.
func (c *canvas) text(x, y float64, attributes, text string) {
	fmt.Fprintf(c, "<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y, strings.TrimSpace(attributes), html.EscapeString(text))
}

// textWidth returns the greatest width that a text may have.
func textWidth(text string) float64 { return wide * letter * float64(len([]rune(text))) }

// panel draws a panel in its place in the grid.
func (c *canvas) panel(p *Panel, series []Series) error {
	const column = (width - 2*edge + gap) / 24.0
	place := area{edge + column*float64(p.GridPos.X), heading + unitY*float64(p.GridPos.Y), column*float64(p.GridPos.W) - gap, unitY*float64(p.GridPos.H) - gap}
	if p.Type == "row" {
		c.text(place.x, place.y+22, `font-size="15" font-weight="bold"`, p.Title)
		return nil
	}
	fmt.Fprintf(c, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\" fill=\"#fff\" stroke=\"#d8dadd\"/>\n", place.x, place.y, place.w, place.h)
	c.text(place.x+12, place.y+22, `font-size="13" font-weight="bold"`, p.Title)
	inner := area{place.x + 12, place.y + 34, place.w - 24, place.h - 44}
	if !hasPoints(series) {
		none := p.FieldConfig.Defaults.NoValue
		if none == "" {
			none = "No data"
		}
		c.text(inner.x+inner.w/2, inner.y+inner.h/2, middle+grey, none)
		return nil
	}
	return kinds[p.Type](c, p, series, inner)
}

func hasPoints(series []Series) bool {
	for _, s := range series {
		if len(s.Points) > 0 {
			return true
		}
	}
	return false
}

// legend lists the series at the bottom of an area and returns the rest of the area.
func (c *canvas) legend(series []Series, in area) area {
	const mark, line = 20, 18
	type entry struct{ x, row float64 }
	var places []entry
	x, row := 0.0, 0.0
	for _, s := range series {
		needs := mark + textWidth(s.Name) + 8
		if x > 0 && x+needs > in.w {
			x, row = 0, row+1
		}
		places = append(places, entry{x, row})
		x += needs
	}
	in.h -= line * (row + 1)
	for i, s := range series {
		y := in.y + in.h + line*places[i].row + 14
		fmt.Fprintf(c, "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" rx=\"2\" fill=\"%s\"/>\n", in.x+places[i].x, y-6, colors[i%len(colors)])
		c.text(in.x+places[i].x+mark, y, "", s.Name)
	}
	return in
}

// times draws the time axis at the bottom of an area and returns the rest of the area.
func (c *canvas) times(in area) area {
	in.h -= 20
	length := c.span.To.Sub(c.span.From)
	step := time.Hour
	for _, candidate := range []time.Duration{10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute} {
		if length/candidate <= 6 {
			step = candidate
			break
		}
	}
	format := "15:04"
	if step < time.Minute {
		format = "15:04:05"
	}
	for at := c.span.From.Truncate(step).Add(step); at.Before(c.span.To); at = at.Add(step) {
		x := c.x(at, in)
		fmt.Fprintf(c, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\"/>\n", x, in.y, in.y+in.h, gridLine)
		if margin := textWidth(format) / 2; x-margin > in.x-20 && x+margin < in.x+in.w+12 {
			c.text(x, in.y+in.h+16, middle+grey, at.Format(format))
		}
	}
	return in
}

// x returns the position of a time in an area.
func (c *canvas) x(at time.Time, in area) float64 {
	return in.x + in.w*at.Sub(c.span.From).Seconds()/c.span.To.Sub(c.span.From).Seconds()
}
