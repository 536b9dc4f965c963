// Package report writes what an inspection found: as text for a terminal, JSON,
// SARIF, a CycloneDX SBOM, and one self-contained HTML file. It also masks
// secrets, counts, and applies a reviewer's marks. Whatever comes from an
// artifact is hostile: it is made harmless for the format that it goes into.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// Formats are the formats that Write knows.
var Formats = []string{"text", "json", "sarif", "html", "cyclonedx"}

// Options are what the reader of a report can choose.
type Options struct {
	Color bool // text: with colours, for a terminal
	Width int  // text: columns; 80 if 0
}

func (o Options) width() int {
	if o.Width <= 0 {
		return 80
	}
	return max(o.Width, 40)
}

// Write writes a report in one of Formats. Secrets are written as they stand in
// the report: call Mask before.
func Write(w io.Writer, format string, r *doorward.Report, opt Options) error {
	switch format {
	case "text":
		return writeText(w, r, opt)
	case "json":
		return WriteJSON(w, r)
	case "sarif":
		return writeSARIF(w, r)
	case "html":
		return writeHTML(w, r)
	case "cyclonedx":
		return writeCycloneDX(w, r)
	}
	return fmt.Errorf("unknown format %q: there are %s", format, strings.Join(Formats, ", "))
}

// undeclared lists the doors that count as undeclared, in the report's order.
func undeclared(r *doorward.Report) []*doorward.Door {
	return doorsWhere(r, func(d *doorward.Door) bool { return IsUndeclared(d) })
}

func doorsWhere(r *doorward.Report, keep func(d *doorward.Door) bool) []*doorward.Door {
	var list []*doorward.Door
	for i := range r.Doors {
		if keep(&r.Doors[i]) {
			list = append(list, &r.Doors[i])
		}
	}
	return list
}

// IsUndeclared says that a door counts as undeclared: one that contradicts a
// declaration does, one whose status was never determined too.
func IsUndeclared(d *doorward.Door) bool { return d.Status != doorward.Declared }

// Heaviest is the weight of the heaviest undeclared door; "" if there is none.
// A reviewer's mark changes nothing here: a marked door keeps its status and
// counts. Only an exception under a policy lets a product pass.
func Heaviest(r *doorward.Report) doorward.Weight {
	heaviest := doorward.Weight("")
	for _, d := range undeclared(r) {
		if heaviest == "" || d.Weight.Rank() > heaviest.Rank() {
			heaviest = d.Weight
		}
	}
	return heaviest
}

// Fails says that an undeclared door is at or above failOn ("never": no).
func Fails(r *doorward.Report, failOn doorward.Weight) bool {
	h := Heaviest(r)
	return h != "" && slices.Contains(doorward.Weights, failOn) && h.Rank() >= failOn.Rank()
}
