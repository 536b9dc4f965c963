// Package formats is the list of every reader, in the order in which they are
// tried where several could open the same bytes: the most specific first.
package formats

import (
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/archive"
	"github.com/doorward/doorward/internal/unpack/disk"
	"github.com/doorward/doorward/internal/unpack/linuxfs"
	"github.com/doorward/doorward/internal/unpack/uefi"
	"github.com/doorward/doorward/internal/unpack/vendor"
	"github.com/doorward/doorward/internal/unpack/volume"
)

// All is every reader of every family.
var All = join(
	vendor.List, // what they open begins as what they hold: TRX, uImage, text
	unpack.List,
	archive.List,
	volume.List, // before disk: a disc may have a partition table too
	disk.List,
	linuxfs.List,
	uefi.List,
)

func join(lists ...[]*unpack.Reader) []*unpack.Reader {
	var all []*unpack.Reader
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
