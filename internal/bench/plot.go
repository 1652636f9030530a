package main

import (
	"fmt"
	"strings"
)

const (
	plotLabel = 170 // width of the workloads' names
	plotWidth = 560 // of the bars' field
	plotMost  = 1.6 // ratio at its right end
	plotBar   = 9
	plotGap   = 8
)

var plotColours = map[string]string{"rls": "#4269d0", "rewrite": "#efb118", "both": "#ff725c"}

// plot draws each enforcement's throughput by pgbouncer's, a bar each.
func (r *report) plot() string {
	var b strings.Builder
	y := 34
	enforcements := []string{"rls", "rewrite", "both"}
	x := func(ratio float64) float64 { return plotLabel + plotWidth*min(ratio, plotMost)/plotMost }
	for _, w := range workloads() {
		bouncer := r.bouncer(w.name, "")
		if len(r.results[w.name][bouncer]) == 0 || w.once || w.ratio {
			continue
		}
		top := y
		for _, enforce := range enforcements {
			ratio := r.against(rate, w.name, enforce, w.name, bouncer)
			if ratio == 0 {
				continue
			}
			fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", plotLabel, y, x(ratio)-plotLabel, plotBar-1, plotColours[enforce])
			fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\" class=\"n\">%.2f</text>\n", x(ratio)+3, y+plotBar-2, ratio)
			y += plotBar
		}
		if y == top {
			continue
		}
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", plotLabel-6, (top+y)/2+4, w.name)
		y += plotGap
	}
	var head strings.Builder
	fmt.Fprintf(&head, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", plotLabel+plotWidth+40, y+6)
	head.WriteString("<style>.n{font-size:9px;fill:#555}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n")
	for i, enforce := range enforcements {
		fmt.Fprintf(&head, "<rect x=\"%d\" y=\"8\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%d\" y=\"17\">%s</text>\n",
			plotLabel+i*80, plotColours[enforce], plotLabel+i*80+14, enforce)
	}
	fmt.Fprintf(&head, "<text x=\"%.1f\" y=\"17\" text-anchor=\"middle\">pgbouncer = 1</text>\n", x(1))
	fmt.Fprintf(&head, "<line x1=\"%[1]f\" y1=\"22\" x2=\"%[1]f\" y2=\"%[2]d\" stroke=\"#888\" stroke-dasharray=\"3 3\"/>\n", x(1), y)
	return head.String() + b.String() + "</svg>\n"
}
