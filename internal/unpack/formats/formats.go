// Package formats is the list of every reader, in the order in which they are
// tried where several could open the same bytes: the most specific first.
package formats

import (
	"slices"

	"github.com/doorward/doorward/internal/unpack/archive"
	"github.com/doorward/doorward/internal/unpack/boot"
	"github.com/doorward/doorward/internal/unpack/bundle"
	"github.com/doorward/doorward/internal/unpack/disk"
	"github.com/doorward/doorward/internal/unpack/flash"
	"github.com/doorward/doorward/internal/unpack/linuxfs"
	"github.com/doorward/doorward/internal/unpack/mcu"
	"github.com/doorward/doorward/internal/unpack/stream"
	"github.com/doorward/doorward/internal/unpack/uefi"
	"github.com/doorward/doorward/internal/unpack/vendor"
	"github.com/doorward/doorward/internal/unpack/volume"
)

// All is every reader of every family.
var All = slices.Concat(
	flash.First, // without a magic, but its pages would spoil whatever is found in them
	disk.First,  // known by their end: what they begin with is what they hold
	volume.First,
	vendor.List, // what they open begins as what they hold: TRX, uImage, text
	boot.List,
	flash.List,
	linuxfs.List,
	archive.List,
	stream.List,
	disk.List,
	uefi.List,
	volume.List,
	bundle.List,
	mcu.List,

	// Without a magic: tried on what no other opened.
	boot.Last,
	flash.Last,
	mcu.Last,
	vendor.Last,
	uefi.Last,
	archive.Last,
	disk.Last,
)
