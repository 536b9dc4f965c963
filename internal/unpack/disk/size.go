package disk

import (
	"fmt"

	"github.com/doorward/doorward/internal/unpack"
)

// diskSize checks the size that a disk image claims against the limit, since
// its holes take time to read though they take no room.
func diskSize(in *unpack.Input, size int64) error {
	if size < 0 || size > in.Budget.Limits.Bytes {
		return fmt.Errorf("%w: a disk of %d bytes (raise it with --limit-bytes)", unpack.ErrLimit, size)
	}
	return nil
}
