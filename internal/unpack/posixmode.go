package unpack

import "io/fs"

// posixMode turns a mode word as archives store it, type bits included, into
// Go's. Without type bits it is a regular file.
func posixMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	for _, bit := range [...]struct {
		posix uint32
		mode  fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if m&bit.posix != 0 {
			mode |= bit.mode
		}
	}
	switch m & 0o170000 {
	case 0, 0o100000:
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o140000:
		mode |= fs.ModeSocket
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}
