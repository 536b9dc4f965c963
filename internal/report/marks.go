package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
)

// Marks are a reviewer's judgements, by door id.
type Marks map[string]doorward.Mark

// The states of a mark.
const (
	Accepted   = "accepted"    // the door is there, and the reviewer knows and bears it
	FalseAlarm = "false-alarm" // the reviewer checked: there is no such door
)

// markLine is one line of a marks file.
type markLine struct {
	ID string `json:"id"`
	doorward.Mark
}

var (
	doorID = regexp.MustCompile(`^door-[0-9a-f]{16}$`)
	date   = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)
)

// ReadMarks reads a marks file: one JSON object a line, such as
//
//	{"id": "door-3f0c9a1b2c4d5e6f", "state": "accepted", "reason": "behind the firewall", "date": "2026-11-23", "by": "A. Reviewer"}
//
// Empty lines and lines that begin with # are skipped. Of two marks of one door
// the later one holds. name is for errors.
func ReadMarks(name string, text []byte) (Marks, error) {
	marks := Marks{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var m markLine
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("%s:%d: not a mark: %v; a line is like {\"id\": \"door-…\", \"state\": \"accepted\", \"reason\": \"…\", \"date\": \"YYYY-MM-DD\"}", name, i+1, err)
		}
		if why := m.wrong(); why != "" {
			return nil, fmt.Errorf("%s:%d: %s", name, i+1, why)
		}
		marks[m.ID] = m.Mark
	}
	return marks, nil
}

func (m *markLine) wrong() string {
	switch {
	case !doorID.MatchString(m.ID):
		return fmt.Sprintf("%q is no door id (door- and 16 hex digits)", m.ID)
	case m.State != Accepted && m.State != FalseAlarm:
		return fmt.Sprintf("the state %q is neither %s nor %s", m.State, Accepted, FalseAlarm)
	case strings.TrimSpace(m.Reason) == "":
		return "a mark needs a reason"
	case !date.MatchString(m.Date):
		return fmt.Sprintf("the date %q is not written YYYY-MM-DD", m.Date)
	}
	return ""
}

// Apply marks the doors of a report and returns the ids, in no order, that no
// door of it has: doors that were closed, or that changed their identity.
func (marks Marks) Apply(r *doorward.Report) (unused []string) {
	used := map[string]bool{}
	for i := range r.Doors {
		d := &r.Doors[i]
		if m, ok := marks[d.ID]; ok {
			d.Mark = &m
			used[d.ID] = true
		}
	}
	for id := range marks {
		if !used[id] {
			unused = append(unused, id)
		}
	}
	return unused
}

// MarkLine writes a line of a marks file.
func MarkLine(id string, m doorward.Mark) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(markLine{id, m}); err != nil {
		panic(err) // plain strings
	}
	return b.String()
}
