package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// fullUpTo is how many light (low, info) undeclared doors are told in full; more
// than that get a line each.
const fullUpTo = 12

// writeText writes a report for a terminal: the most important first.
func writeText(w io.Writer, r *doorward.Report, opt Options) error {
	t := &text{width: opt.width(), color: opt.Color}
	t.head(r)
	t.decision(r.Decision, About{Reports: []*doorward.Report{r}})
	t.line("")
	t.verdict(r)
	t.undeclared(r)
	t.declared(r)
	t.alterations(r)
	t.unread(r)
	t.coverage(r)
	t.claims(r)
	t.origins(r)
	t.detectors(r)
	t.next(r)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// text is a page of text at work.
type text struct {
	b     strings.Builder
	width int
	color bool
}

func (t *text) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	t.b.WriteByte('\n')
}

// The colours (ECMA-48 select graphic rendition) of a page.
var colours = map[string]string{
	"critical": "1;31", "high": "31", "medium": "33", "low": "36", "info": "2",
	"title": "1", "dim": "2", "good": "32", "bad": "31",
}

// in colours a text, if colours are wanted.
func (t *text) in(colour, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + colours[colour] + "m" + s + "\x1b[0m"
}

// pad fills a text up to so many columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// title writes a section's title with a rule below.
func (t *text) title(s string) {
	t.line("")
	t.line("%s", t.in("title", s))
	t.line("%s", t.in("dim", strings.Repeat("─", t.width)))
}

// item writes a labelled text, wrapped, with lines after the first below it.
func (t *text) item(indent int, label, s string) { t.labelled(indent, 9, label, s) }

// labelled is item with labels of another width, in columns.
func (t *text) labelled(indent, labelWidth int, label, s string) {
	first := strings.Repeat(" ", indent) + pad(label, labelWidth)
	rest := strings.Repeat(" ", indent+labelWidth)
	for i, l := range wrap(s, t.width-indent-labelWidth) {
		if i == 0 {
			t.line("%s%s", t.in("dim", first), l)
		} else {
			t.line("%s%s", rest, l)
		}
	}
}

func (t *text) head(r *doorward.Report) {
	s := r.Subject
	t.line("%s", t.in("title", cut("Doorward "+plain(r.Tool.Version)+": "+plain(s.Name), t.width)))
	facts := []string{plain(s.Kind)}
	if s.Format != "" && s.Format != s.Kind {
		facts = append(facts, plain(s.Format))
	}
	facts = append(facts, size(s.Size))
	if len(s.SHA256) >= 16 {
		facts = append(facts, "SHA-256 "+plain(s.SHA256[:16])+"…")
	}
	t.line("%s", cut(strings.Join(facts, ", "), t.width))
	if says := subjectSays(s); says != "" {
		t.line("%s", cut("it says that it is "+plain(says), t.width))
	}
}

// subjectSays is what the artifact says of itself.
func subjectSays(s doorward.Subject) string {
	text := strings.TrimSpace(s.Product + " " + s.Version)
	if s.Maker != "" && text != "" {
		text += ", by " + s.Maker
	}
	return text
}

// verdict says the result in a line or three.
func (t *text) verdict(r *doorward.Report) {
	defer t.caveat(r)
	s := r.Summary
	switch {
	case s.Doors == 0:
		t.line("%s", t.in("good", "No door was found."))
		return
	case s.Undeclared == 0:
		t.line("%s", t.in("good", fmt.Sprintf("No undeclared door: %s declared.", count(s.Doors, "one door,", "doors, all"))))
		return
	}
	var parts []string
	head := fmt.Sprintf("%d of %s undeclared:", s.Undeclared, undeclaredOf(s))
	used := columns(head)
	for _, weight := range doorward.Weights {
		if n := s.Weight[weight]; n > 0 {
			part := fmt.Sprintf("%d %s", n, weight)
			used += columns(part) + 2
			parts = append(parts, t.in(string(weight), part))
		}
	}
	between := " "
	if used > t.width {
		between = "\n  "
	}
	t.line("%s%s%s", t.in("title", head), between, strings.Join(parts, ", "))
	if s.Contradicts > 0 {
		t.line("%s what the maker declares", t.in("bad", count(s.Contradicts, "of them contradicts", "of them contradict")))
	}
}

// undeclaredOf is what follows the number of undeclared doors: "12 doors are".
func undeclaredOf(s doorward.Summary) string {
	if s.Undeclared == 1 {
		return count(s.Doors, "door", "doors") + " is"
	}
	return count(s.Doors, "door", "doors") + " are"
}

// limitsHit is how many limits were hit that no count of unread bytes shows.
func limitsHit(r *doorward.Report) (n int) {
	for _, u := range r.Unread {
		if u.Reason == "limit" && u.Size == 0 {
			n++
		}
	}
	return n
}

// caveat says what the result does not speak of.
func (t *text) caveat(r *doorward.Report) {
	if n := r.Summary.UnreadBytes; n > 0 {
		t.line("%s could not be read: it may hold further doors.", size(n))
	}
	if says := altered(r.Alterations); says != "" {
		for _, l := range wrap(says+" (see ALTERED).", t.width) {
			t.line("%s", l)
		}
	}
	if n := limitsHit(r); n > 0 {
		t.line("%s: doors behind it may be missing (see NOT READ).", count(n, "limit on work was hit", "limits on work were hit"))
	}
	for _, d := range r.Tool.Detectors {
		if d.Status != "ran" && d.Status != "" {
			t.line("%s", cut("The detector "+plain(d.Name)+" did not finish: it may have missed doors.", t.width))
		}
	}
}

// place says where something is: the steps from the subject on.
func place(w doorward.Where) string {
	steps := w.Path
	if len(steps) > 1 {
		steps = steps[1:]
	}
	var parts []string
	for _, s := range steps {
		parts = append(parts, plain(s))
	}
	text := strings.Join(parts, " › ")
	if w.Function != "" {
		text += " " + plain(w.Function) + "()"
	}
	if w.Address != "" {
		text += " at " + plain(w.Address)
	} else if w.Offset != nil {
		text += fmt.Sprintf(" +0x%x", *w.Offset)
	}
	return text
}

func (t *text) unread(r *doorward.Report) {
	if len(r.Unread) == 0 {
		return
	}
	t.title(fmt.Sprintf("NOT READ: %s in %s", size(r.Summary.UnreadBytes), count(len(r.Unread), "part", "parts")))
	list := slices.Clone(r.Unread)
	slices.SortStableFunc(list, func(a, b doorward.Unread) int { return int(min(1, max(-1, b.Size-a.Size))) })
	for i, u := range list {
		if i == fullUpTo {
			t.line("  and %s (in the JSON report)", count(len(list)-i, "more part", "more parts"))
			break
		}
		where := place(doorward.Where{Path: u.Path, Offset: &u.Offset})
		what := plain(u.Reason)
		if u.Entropy > 0 {
			what += fmt.Sprintf(", %.2f bits a byte", u.Entropy)
		}
		t.line("  %s  %s", pad(size(u.Size), 9), cutMiddle(where, t.width-13))
		if u.Partition != "" {
			what += ", in partition " + plain(u.Partition)
		}
		if u.Note != "" {
			what += ": " + plain(u.Note)
		}
		for _, l := range wrap(what, t.width-13) {
			t.line("             %s", t.in("dim", l))
		}
	}
}

func (t *text) coverage(r *doorward.Report) {
	if len(r.Coverage) == 0 {
		return
	}
	t.title("WHAT WAS LOOKED AT")
	for _, c := range r.Coverage {
		found := "none found"
		if c.Found > 0 {
			found = count(c.Found, "door", "doors")
		}
		label := fmt.Sprintf("  %s%s", pad(string(c.Kind), 13), pad(found, 12))
		for i, l := range wrap(plain(c.LookedAt), t.width-27) {
			if i > 0 {
				label = strings.Repeat(" ", 27)
			}
			t.line("%s%s", label, l)
		}
	}
	t.line("  %s; %s", count(r.Summary.Files, "file", "files"), count(len(r.Components), "component", "components"))
}

func (t *text) detectors(r *doorward.Report) {
	for _, d := range r.Tool.Detectors {
		if d.Status == "ran" || d.Status == "" {
			continue
		}
		t.line("")
		for _, l := range wrap(fmt.Sprintf("The detector %s did not finish (%s): %s", plain(d.Name), plain(d.Status), plain(d.Error)), t.width) {
			t.line("%s", t.in("bad", l))
		}
	}
}
