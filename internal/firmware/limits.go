package firmware

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// leftOut reports that a detector left size bytes of a file out; 0 if the bytes
// were read, but not all that is in them was looked at.
func leftOut(out *detect.Sink, f *product.File, offset, size int64, note string) {
	u := doorward.Unread{Offset: offset, Size: size, Reason: "limit", Note: note}
	if where := f.Where(); len(where) > 0 {
		u.Path = where[0].Path
	}
	out.Unread(u)
}

// cutHits reports a file in which a pattern whose every place is looked at
// occurs more often than the index keeps.
func cutHits(out *detect.Sink, f *product.File, patterns ...string) {
	for _, p := range patterns {
		if f.Cut(p) {
			hits := f.Hits(p)
			leftOut(out, f, hits[len(hits)-1], 0, fmt.Sprintf("%q stands in more than %d places: the others were not looked at", p, len(hits)))
			return
		}
	}
}

// startupLimits reports what the evaluation of the boot sequence left out.
func startupLimits(p *product.Product, log *startup.Log, out *detect.Sink) {
	for _, l := range log.Limits {
		if l.File != nil {
			leftOut(out, l.File, 0, l.Size, l.Note)
			continue
		}
		u := doorward.Unread{Path: []string{p.Name}, Reason: "limit", Note: l.Note}
		if l.Volume != nil && len(l.Volume.Places) > 0 {
			u.Path = l.Volume.Places[0]
		}
		out.Unread(u)
	}
}

// longTexts reports the text that is too large to be read line by line, if
// there is something in it that would have been read: a script, or words that
// stand beside passwords and users.
func (a *accounts) longTexts() {
	for _, f := range a.product.Files {
		if f.Size <= product.MaxText || !f.Type.IsText() || !a.wouldRead(f) {
			continue
		}
		if slices.ContainsFunc(a.log.Limits, func(l startup.Limit) bool { return l.File == f }) {
			continue // the start-up evaluator says so
		}
		leftOut(a.out, f, 0, f.Size, "text over 4 MiB is searched for patterns, but not read line by line")
	}
}

// wouldRead says that a text is one that detectors read for doors: no
// documentation, source, log, or data of a package manager.
func (a *accounts) wouldRead(f *product.File) bool {
	if quietFile(f) || f.Deleted() || f.Volume != nil && isDocumentation(f.Path) {
		return false
	}
	if isScript(f) {
		return true
	}
	return !isStock(f) && !isSource(f.Path) && !skipConfig(f) && (hasAny(f, accountPatterns) || hasAny(f, accountConfigPatterns))
}

// isStock says that a file lies where package managers, logs and the data of
// packages lie: no configuration of the product, however large.
func isStock(f *product.File) bool {
	p := "/" + f.Path
	for _, dir := range []string{"/usr/share/", "/var/lib/apt/", "/var/cache/", "/var/log/", "/lib/modules/", "/boot/", "/proc/", "/sys/"} {
		if f.Volume != nil && strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}
