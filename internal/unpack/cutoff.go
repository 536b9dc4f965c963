package unpack

import "fmt"

// CutOff is the error of an object whose end is missing, as a download that was
// broken off leaves it. What is missing counts as unread.
type CutOff struct {
	Format  string
	Missing int64
	Of      int64 // bytes that the object should have
}

func (e *CutOff) Error() string {
	return fmt.Sprintf("%s: cut off, %d of %d bytes are missing", e.Format, e.Missing, e.Of)
}
