package unpack

import (
	"io/fs"
	"time"
)

// UnixMode turns a mode word of Unix, type bits included, into Go's.
func UnixMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	for _, bit := range []struct {
		unix uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if m&bit.unix != 0 {
			mode |= bit.mode
		}
	}
	switch m & 0o170000 {
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
	}
	return mode
}

// unixDevice parts a device number as the kernel's new_decode_dev does.
func UnixDevice(dev uint32) (major, minor uint32) {
	return dev >> 8 & 0xfff, dev&0xff | dev>>12&0xfff00
}

// UnixTime is a time of seconds since 1970.
func UnixTime(seconds uint32) time.Time { return time.Unix(int64(seconds), 0).UTC() }

// maxXattr is the kernel's bound on one value (XATTR_SIZE_MAX), and what all
// attributes of a file may take here.
const MaxXattr = 64 << 10

// maxXattrs bounds the values of all files of one tree.
const MaxXattrs = 64 << 20
