package startup

import (
	"fmt"
	"slices"

	"github.com/doorward/doorward/internal/product"
)

// Limit is work that the evaluation left undone: what lies behind it, nobody
// looked at.
type Limit struct {
	File   *product.File   // the file that was left out; nil if it is not one file
	Volume *product.Volume // the file system at which the evaluation stopped; may be nil with a File, or for the whole product
	Size   int64           // bytes that were not read; 0 if it is no matter of bytes
	Note   string          // which limit, and what was left out
}

// maxLimits is how many are kept, so that a hostile product can't fill the report.
const maxLimits = 200

// limit records a limit that was hit, once.
func (l *Log) limit(x Limit) {
	if len(l.Limits) < maxLimits && !slices.Contains(l.Limits, x) {
		l.Limits = append(l.Limits, x)
	}
}

// limit records that the evaluation of this volume left something out.
func (e *engine) limit(format string, args ...any) {
	e.log.limit(Limit{Volume: e.v, Note: fmt.Sprintf(format, args...)})
}
