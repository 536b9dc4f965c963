package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/doorward/doorward"
)

// summary is one line for each of several products, and the worst exit status.
type summary struct {
	rows  []string
	worst int
}

func (t *summary) add(r *doorward.Report, code int) {
	t.worst = worse(t.worst, code)
	unread := "-"
	if r.Summary.UnreadBytes > 0 {
		unread = fmt.Sprintf("%.1f %%", 100*float64(r.Summary.UnreadBytes)/float64(r.Summary.ReadBytes+r.Summary.UnreadBytes))
	}
	t.rows = append(t.rows, strings.Join([]string{
		printable(r.Subject.Name), fmt.Sprintf("%.1f MB", float64(r.Subject.Size)/1e6), r.Subject.Kind,
		fmt.Sprint(r.Summary.Doors), undeclared(r.Summary), unread, fmt.Sprint(code),
	}, "\t"))
}

// failed notes a product that could not be inspected at all.
func (t *summary) failed(path string) {
	t.worst = worse(t.worst, exitFailed)
	t.rows = append(t.rows, printable(filepath.Base(path))+"\t\t\t\t\tnot inspected\t"+fmt.Sprint(exitFailed))
}

// undeclared counts by weight: 6 (1 critical, 2 high).
func undeclared(s doorward.Summary) string {
	var parts []string
	for _, w := range []doorward.Weight{doorward.Critical, doorward.High, doorward.Medium} {
		if n := s.Weight[w]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	if parts == nil {
		return fmt.Sprint(s.Undeclared)
	}
	return fmt.Sprintf("%d (%s)", s.Undeclared, strings.Join(parts, ", "))
}

func (t *summary) write(w io.Writer) {
	fmt.Fprintf(w, "\n%d PRODUCTS\n\n", len(t.rows))
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "PRODUCT\tSIZE\tKIND\tDOORS\tUNDECLARED\tUNREAD\tSTATUS")
	for _, row := range t.rows {
		fmt.Fprintln(tab, row)
	}
	tab.Flush()
}

// printable shows a name that a terminal must not take for a command, nor the
// table for a column.
func printable(name string) string {
	quoted := fmt.Sprintf("%q", name)
	return quoted[1 : len(quoted)-1]
}
