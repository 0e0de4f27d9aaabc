package diagram

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// The dimensions of a drawing in pixels, which fits the screen of a phone.
const (
	width      = 360
	margin     = 14
	lineHeight = 17
	characters = 45 // per line of text
	arrowSpace = 24 // below the text of a message
	headHeight = 66
)

// style suits both light and dark pages.
const style = `
		svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
		.paper { fill: #fff; } .ink { fill: #1f2328; } .soft { fill: #59636e; }
		.lane { stroke: #c4ccd4; stroke-dasharray: 2 4; } .box { fill: #eaf2fb; stroke: #9cbfe6; }
		.arrow { stroke: #0b5cad; stroke-width: 1.6; } .head { fill: #0b5cad; }
		.bold { font-weight: 600; } .middle { text-anchor: middle; }
		@media (prefers-color-scheme: dark) {
			.paper { fill: #0d1117; } .ink { fill: #e6edf3; } .soft { fill: #9aa4af; }
			.lane { stroke: #3d444d; } .box { fill: #13233a; stroke: #2f5b8f; }
			.arrow { stroke: #74b0f4; } .head { fill: #74b0f4; }
		}
	`

// SVG returns the diagram as an SVG document.
func (d *Diagram) SVG() string {
	var body strings.Builder
	y, number := headHeight+10, 0
	for _, step := range d.Steps {
		if step.Part != "" {
			y += 12
			fmt.Fprintf(&body, "\t<text x=\"%d\" y=\"%d\" class=\"soft bold\">%s</text>\n", margin, y+12, escape(step.Part))
			y += 26
			continue
		}
		number++
		y = d.drawStep(&body, step, number, y)
	}
	height := y + margin
	var svg strings.Builder
	fmt.Fprintf(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-labelledby=\"title description\">\n",
		width, height, width, height)
	fmt.Fprintf(&svg, "\t<title id=\"title\">%s</title>\n\t<desc id=\"description\">%s</desc>\n\t<style>%s</style>\n", escape(d.Title), escape(d.inWords()), style)
	fmt.Fprintf(&svg, "\t<rect class=\"paper\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n\t<text x=\"%d\" y=\"24\" class=\"ink bold\">%s</text>\n", width, height, margin, escape(d.Title))
	for i, name := range d.Lanes {
		x := d.lane(i)
		fmt.Fprintf(&svg, "\t<line class=\"lane\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", x, headHeight-4, x, height-6)
		fmt.Fprintf(&svg, "\t<rect class=\"box\" x=\"%d\" y=\"36\" width=\"80\" height=\"24\" rx=\"4\"/>\n\t<text x=\"%d\" y=\"52\" class=\"ink middle\">%s</text>\n", x-40, x, escape(name))
	}
	return svg.String() + body.String() + "</svg>\n"
}

// drawStep draws a message at the vertical position y, and returns the position of
// the next one.
func (d *Diagram) drawStep(svg *strings.Builder, step Step, number, y int) int {
	lines := wrap(step.Text, characters)
	fmt.Fprintf(svg, "\t<rect class=\"paper\" x=\"6\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", y, width-12, len(lines)*lineHeight+3)
	fmt.Fprintf(svg, "\t<text x=\"%d\" y=\"%d\" class=\"soft\">%d</text>\n", margin, y+13, number)
	for _, line := range lines {
		fmt.Fprintf(svg, "\t<text x=\"%d\" y=\"%d\" class=\"ink\">%s</text>\n", margin+24, y+13, escape(line))
		y += lineHeight
	}
	from, to, at := d.lane(step.From), d.lane(step.To), y+13
	back := 8 // distance of the line's end from the tip of the arrow
	if from > to {
		back = -8
	}
	fmt.Fprintf(svg, "\t<line class=\"arrow\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", from, at, to-back, at)
	fmt.Fprintf(svg, "\t<path class=\"head\" d=\"M%d %dl%d -4v8z\"/>\n", to, at, -back)
	return y + arrowSpace
}

// lane returns the horizontal position of a lane.
func (d *Diagram) lane(i int) int {
	step := (width - 2*margin) / len(d.Lanes)
	return margin + step/2 + i*step
}

// inWords describes the diagram for users of screen readers.
func (d *Diagram) inWords() string {
	var all []string
	for _, step := range d.Steps {
		if step.Part != "" {
			all = append(all, step.Part+".")
			continue
		}
		all = append(all, fmt.Sprintf("%s to %s: %s.", d.Lanes[step.From], d.Lanes[step.To], step.Text))
	}
	return strings.Join(all, " ")
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // cannot fail: writes to memory
	return b.String()
}
