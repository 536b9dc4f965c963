package firmware

import (
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
