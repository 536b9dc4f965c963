//go:build unix

package unpack

import (
	"io/fs"
	"syscall"
)

// setOwner fills in what only Unix file systems know, and returns device and
// inode, by which hard links are known.
func setOwner(e *Entry, fi fs.FileInfo) [2]uint64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return [2]uint64{}
	}
	e.UID, e.GID, e.Inode = int(st.Uid), int(st.Gid), st.Ino
	if e.Mode&fs.ModeDevice != 0 {
		e.Major, e.Minor = UnixDevice(uint32(st.Rdev))
	}
	return [2]uint64{uint64(st.Dev), st.Ino}
}
