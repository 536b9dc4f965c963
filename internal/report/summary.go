package report

import "github.com/doorward/doorward"

// Summarise counts doors and unread bytes into the report's summary. Weights
// are counted of undeclared doors only; a door that contradicts a declaration
// is undeclared too. Marks do not change the counts.
func Summarise(r *doorward.Report) {
	s := &r.Summary
	s.Doors, s.Undeclared, s.Contradicts, s.UnreadBytes = len(r.Doors), 0, 0, 0
	s.Weight = map[doorward.Weight]int{}
	for _, w := range doorward.Weights {
		s.Weight[w] = 0
	}
	for i := range r.Doors {
		d := &r.Doors[i]
		if !IsUndeclared(d) {
			continue
		}
		s.Undeclared++
		s.Weight[d.Weight]++
		if d.Status == doorward.Contradicts {
			s.Contradicts++
		}
	}
	for _, u := range r.Unread {
		s.UnreadBytes += u.Size
	}
}
