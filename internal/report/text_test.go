package report_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/report"
)

// No line is longer than the terminal is wide, and nothing of the artifact
// reaches the terminal as a control character.
func TestTextIsTame(t *testing.T) {
	for _, width := range []int{0, 60, 120} {
		limit := max(width, 80)
		if width == 60 {
			limit = 60
		}
		for i, line := range strings.Split(string(written(t, "text", sample(t), report.Options{Width: width})), "\n") {
			if n := utf8.RuneCountInString(line); n > limit {
				t.Errorf("width %d: line %d has %d columns: %s", width, i+1, n, line)
			}
			if strings.ContainsFunc(line, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }) {
				t.Errorf("line %d has a control character: %q", i+1, line)
			}
		}
	}
}

// Colours change nothing but colours.
func TestColours(t *testing.T) {
	plain := string(written(t, "text", sample(t), report.Options{}))
	coloured := string(written(t, "text", sample(t), report.Options{Color: true}))
	var b strings.Builder
	for rest := coloured; rest != ""; {
		if strings.HasPrefix(rest, "\x1b[") {
			rest = rest[strings.IndexByte(rest, 'm')+1:]
			continue
		}
		b.WriteByte(rest[0])
		rest = rest[1:]
	}
	strip := func(s string) string {
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return strings.Join(lines, "\n")
	}
	if coloured == plain || strip(b.String()) != plain {
		t.Error("the text differs, or there are no colours")
	}
}

func TestVerdict(t *testing.T) {
	door := doorward.Door{Title: "a door", Weight: "low", Kind: "key", Status: doorward.Declared}
	cases := []struct {
		r    doorward.Report
		want []string
	}{
		{doorward.Report{}, []string{"No door was found.", "Nothing to do."}},
		{doorward.Report{Doors: []doorward.Door{door, door}}, []string{"No undeclared door: 2 doors, all declared.", "DECLARED DOORS: 2"}},
		{doorward.Report{Unread: []doorward.Unread{{Path: []string{"x"}, Size: 2048, Reason: "encrypted"}}}, []string{"2.0 KiB could not be read", "NOT READ: 2.0 KiB in 1 part"}},
		{doorward.Report{Tool: doorward.Tool{Detectors: []doorward.DetectorRun{{Name: "key", Status: "failed", Error: "why"}}}}, []string{"may have missed doors", "(failed): why"}},
	}
	for _, c := range cases {
		report.Summarise(&c.r)
		got := string(written(t, "text", &c.r, report.Options{}))
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in\n%s", want, got)
			}
		}
	}
}

// Many light doors get a line each; heavy ones are told in full.
func TestManyLightDoors(t *testing.T) {
	r := &doorward.Report{}
	for i := range 40 {
		d := doorward.Door{Title: fmt.Sprintf("door %d", i), Weight: "low", Kind: "destination", Where: []doorward.Where{{Path: []string{"x", "f"}}}, Evidence: []doorward.Evidence{{What: "ev"}}}
		if i == 0 {
			d.Weight = "high"
		}
		r.Doors = append(r.Doors, d)
	}
	report.Summarise(r)
	got := string(written(t, "text", r, report.Options{}))
	if n := strings.Count(got, "\n"); n > 80 || strings.Count(got, "found    ev") != 1 || !strings.Contains(got, "39 lighter doors") {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

func TestSummarise(t *testing.T) {
	r := sample(t)
	want := r.Summary
	r.Summary = doorward.Summary{Files: want.Files, ReadBytes: want.ReadBytes}
	report.Summarise(r)
	if fmt.Sprint(r.Summary) != fmt.Sprint(want) {
		t.Errorf("got %+v, counted by another program %+v", r.Summary, want)
	}
	if report.Heaviest(r) != doorward.Critical || !report.Fails(r, doorward.High) || report.Fails(r, "never") {
		t.Error("the heaviest door is not told")
	}
}

func TestMarks(t *testing.T) {
	r := sample(t)
	id := r.Doors[0].ID
	marks, err := report.ReadMarks("marks.jsonl", []byte("# judged by hand\n\n"+
		`{"id": "`+id+`", "state": "accepted", "reason": "first", "date": "2026-01-01"}`+"\n"+
		report.MarkLine(id, doorward.Mark{State: report.FalseAlarm, Reason: "it is <not> there", Date: "2026-02-01", By: "me"})+
		report.MarkLine("door-0000000000000000", doorward.Mark{State: report.Accepted, Reason: "gone", Date: "2026-02-01"})))
	if err != nil {
		t.Fatal(err)
	}
	undeclared := r.Summary.Undeclared
	unused := marks.Apply(r)
	report.Summarise(r)
	if m := r.Doors[0].Mark; m == nil || m.Reason != "it is <not> there" || m.State != report.FalseAlarm {
		t.Errorf("mark is %+v", m)
	}
	if len(unused) != 1 || unused[0] != "door-0000000000000000" {
		t.Errorf("unused are %v", unused)
	}
	if r.Summary.Undeclared != undeclared || r.Doors[0].Status == doorward.Declared {
		t.Error("a mark changed what the door is")
	}
	if got := string(written(t, "text", r, report.Options{})); !strings.Contains(got, "called a false alarm by me on 2026-02-01: it is <not> there") {
		t.Error("the text does not tell the mark")
	}
}

func TestMarksThatAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		`{"id": "x", "state": "accepted", "reason": "r", "date": "2026-01-01"}`:                     "m:2: \"x\" is no door id",
		`{"id": "door-0000000000000000", "state": "ok", "reason": "r", "date": "2026-01-01"}`:       "neither accepted nor",
		`{"id": "door-0000000000000000", "state": "accepted", "reason": " ", "date": "2026-01-01"}`: "needs a reason",
		`{"id": "door-0000000000000000", "state": "accepted", "reason": "r", "date": "1.1.2026"}`:   "not written YYYY-MM-DD",
		`{"id": "door-0000000000000000", "stat": "accepted"}`:                                       "not a mark",
		`accepted`: "not a mark",
	} {
		if _, err := report.ReadMarks("m", []byte("\n"+line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
}
