package main

import (
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// largePages asks the kernel for pages of 2 MiB where the first size bytes of the
// heap will lie: most of what is decoded goes to fresh memory, which then costs
// one page fault for 512. The runtime has no setting for that, so that the
// address range is taken, marked and given back untouched. A kernel without large
// pages changes nothing.
func largePages(size int) {
	const page = 2 << 20
	var room strings.Builder // whose memory is not cleared
	room.Grow(size)
	start := unsafe.StringData(room.String())
	skip := -int(uintptr(unsafe.Pointer(start))) & (page - 1)
	_ = unix.Madvise(unsafe.Slice(start, size)[skip:], unix.MADV_HUGEPAGE)
	room.Reset()
	runtime.GC()
}
