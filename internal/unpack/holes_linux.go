package unpack

import (
	"errors"
	"os"
	"syscall"
)

// heldInFile asks the file system where a file has holes (lseek(2), SEEK_DATA
// and SEEK_HOLE). One that does not know says that all is data.
func heldInFile(f *os.File, off, size int64) (from, to int64) {
	const seekData, seekHole = 3, 4
	from, err := f.Seek(off, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return size, size
	case err != nil:
		return off, size
	}
	if to, err = f.Seek(from, seekHole); err != nil || to <= from {
		return from, size
	}
	return from, to
}
