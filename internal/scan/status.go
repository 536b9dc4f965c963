package scan

import (
	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/report"
)

// Status is the exit status that a report asks for (DESIGN 4.1): 1 for an
// undeclared door at or above failOn ("never": doors don't count), 3 if the
// product was read only in part, else 0.
func Status(r *doorward.Report, failOn doorward.Weight, strict bool) int {
	if report.Fails(r, failOn) {
		return 1
	}
	if Partly(r, strict) {
		return 3
	}
	return 0
}

// unreadShare is the share of unread bytes from which a product counts as read
// in part.
const unreadShare = 0.05

// Partly says that a product was read only in part: its format is unknown, a
// limit was hit, a detector failed, or too much is unread (strict: anything).
func Partly(r *doorward.Report, strict bool) bool {
	if r.Subject.Kind == "unknown" || (strict && len(r.Unread) > 0) {
		return true
	}
	for _, d := range r.Tool.Detectors {
		if d.Status != "ran" {
			return true
		}
	}
	for _, u := range r.Unread {
		if u.Reason == "limit" {
			return true
		}
	}
	unread := float64(r.Summary.UnreadBytes)
	return unread > unreadShare*(float64(r.Summary.ReadBytes)+unread)
}
