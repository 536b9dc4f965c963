package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/doorward/doorward"
)

// WriteJSON writes the report in version 1 of its JSON (docs/schema). The same
// report gives the same bytes.
func WriteJSON(w io.Writer, r *doorward.Report) error {
	c := complete(r)
	return encode(w, c)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// complete gives a copy in which no list is absent: readers of the JSON find
// [] and {}, never null.
func complete(r *doorward.Report) *doorward.Report {
	c := *r
	c.Schema = doorward.ReportSchema
	c.Tool.Detectors = some(c.Tool.Detectors)
	c.Coverage, c.Components, c.Origins = some(c.Coverage), some(c.Components), some(c.Origins)
	c.Unread, c.Declarations = some(c.Unread), some(c.Declarations)
	if c.Summary.Weight == nil {
		c.Summary.Weight = map[doorward.Weight]int{}
	}
	c.Doors = make([]doorward.Door, len(r.Doors))
	for i, d := range r.Doors {
		c.Doors[i] = completeDoor(d)
	}
	for i := range c.Components {
		if c.Components[i].Where == nil {
			c.Components = append([]doorward.Component{}, c.Components...)
			c.Components[i].Where = []doorward.Where{}
		}
	}
	if r.Decision != nil {
		c.Decision = completeDecision(r.Decision)
	}
	return &c
}

func completeDoor(d doorward.Door) doorward.Door {
	d.Stages, d.Where, d.Evidence = some(d.Stages), some(d.Where), some(d.Evidence)
	if d.Detail == nil {
		d.Detail = doorward.Detail{}
	}
	if d.Status == "" {
		d.Status = doorward.Undeclared
	}
	return d
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// ReadJSON reads a report that WriteJSON wrote, by this version or a later one
// of the same schema: unknown keys are ignored.
func ReadJSON(text []byte) (*doorward.Report, error) {
	var r doorward.Report
	if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), &r); err != nil {
		return nil, fmt.Errorf("not a report: %w", err)
	}
	if r.Schema != doorward.ReportSchema {
		return nil, fmt.Errorf("not a report: its schema is %q, not %q; make one with doorward inspect --format json", r.Schema, doorward.ReportSchema)
	}
	return &r, nil
}

// DropTimes removes what differs between two runs on the same input
// (--no-times).
func DropTimes(r *doorward.Report) {
	r.Date = ""
	r.Tool.Seconds = 0
	for i := range r.Tool.Detectors {
		r.Tool.Detectors[i].Seconds = 0
	}
}
