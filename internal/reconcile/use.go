package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// use says what became of a claim.
func (c *claim) use() doorward.DeclarationUse {
	if c.conflict > 0 {
		c.note(fmt.Sprintf("conflict: %s that it denies %s declared elsewhere", count(c.conflict, "door"), isAre(c.conflict)))
	}
	if c.Says == doorward.SaysDoor && len(c.Kinds) > 0 && c.matched == 0 && !c.dead {
		c.note("matches nothing in the product")
	}
	text := c.Text
	if c.Says == doorward.SaysNoDoor || c.Says == doorward.SaysNoHidden {
		text = strings.TrimSpace(string(c.Says) + " " + c.Text)
		if c.matched > 0 {
			c.note(fmt.Sprintf("contradicted by %s", count(c.matched, "door")))
		}
	}
	return doorward.DeclarationUse{
		Document: c.document.Document, SHA256: c.document.SHA256, Pointer: c.Pointer, Text: text,
		Matched: c.matched, Note: strings.Join(c.notes, "; "),
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// Binds says that a declaration is of the inspected product, as far as it can be
// told.
func Binds(d *doorward.Declaration, subject doorward.Subject, opt Options) bool {
	dead, _ := binding(d, subject, opt)
	return !dead
}

// binding says whether a declaration is of another product than the inspected
// one, and what there is to note on that.
func binding(d *doorward.Declaration, subject doorward.Subject, opt Options) (dead bool, note string) {
	why := mismatch(d, subject, opt)
	switch {
	case why != "" && opt.AnyVersion:
		return false, "used all the same (--declared-version any): " + why
	case why != "":
		return true, "mismatched: " + why
	case len(d.Subject.SHA256) == 0 && len(d.Subject.Versions) == 0:
		return false, "unbound: the declaration names neither a hash nor a version of the product"
	case len(d.Subject.SHA256) == 0 && len(known(subject, opt)) == 0:
		return false, fmt.Sprintf("unchecked: it is for version %s, and the artifact does not tell its version", strings.Join(d.Subject.Versions, " or "))
	}
	return false, ""
}

func mismatch(d *doorward.Declaration, subject doorward.Subject, opt Options) string {
	if len(d.Subject.SHA256) > 0 && subject.SHA256 != "" {
		for _, h := range d.Subject.SHA256 {
			if strings.EqualFold(h, subject.SHA256) {
				return ""
			}
		}
		return "it is for the artifact with SHA-256 " + short(d.Subject.SHA256[0]) + ", this one has " + short(subject.SHA256)
	}
	have := known(subject, opt)
	if len(d.Subject.Versions) == 0 || len(have) == 0 {
		return ""
	}
	for _, declared := range d.Subject.Versions {
		if slices.ContainsFunc(have, func(v string) bool { return SameVersion(declared, v) }) {
			return ""
		}
	}
	return fmt.Sprintf("it is for version %s, this is %s", strings.Join(d.Subject.Versions, " or "), strings.Join(have, ", "))
}

func short(hash string) string {
	if len(hash) > 16 {
		return hash[:16] + "…"
	}
	return hash
}

func known(subject doorward.Subject, opt Options) []string {
	var list []string
	for _, v := range append([]string{subject.Version}, opt.Versions...) {
		if v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// SameVersion compares without a leading v, and takes a build number or a word
// behind the version for no difference: 1.4.2 is "v1.4.2 (build 77)", but
// neither 1.4.20 nor 1.4.2.1.
func SameVersion(a, b string) bool {
	a, b = plainVersion(a), plainVersion(b)
	if len(a) > len(b) {
		a, b = b, a
	}
	if !strings.HasPrefix(b, a) || a == "" {
		return a == b
	}
	return len(a) == len(b) || strings.ContainsRune(" (_+", rune(b[len(a)]))
}

func plainVersion(v string) string {
	v = strings.ToLower(strings.TrimSpace(v))
	if len(v) > 1 && v[0] == 'v' && v[1] >= '0' && v[1] <= '9' {
		v = v[1:]
	}
	return v
}
