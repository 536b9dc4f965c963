package linuxfs

import (
	"errors"
	"sort"

	"github.com/doorward/doorward/internal/unpack"
)

const (
	xfsLogBlock   = 512 // the unit of the log
	xfsLogMagic   = 0xfeedbabe
	xfsLogRecord  = 512 + 64 // the most units of a record of 256 KiB, its headers included
	xfsLogUnmount = 0x20
)

var (
	errXFSLogOutside = errors.New("on another device")
	errXFSLogEmpty   = errors.New("damaged: no record in it")
)

// logClean says that the last record of the log is the one that unmounting
// writes. Each unit of the log starts with the number of its round, so that
// the end of the last record is where the number falls.
func (x *xfs) logClean() (bool, error) {
	start, n := x.u64(48), int64(x.u32(96))*x.blockSize/xfsLogBlock
	if start == 0 {
		return false, errXFSLogOutside
	}
	at, err := x.fsBlock(start)
	if err != nil || n == 0 {
		return false, errXFSLogEmpty
	}
	unit := func(i int) []byte {
		p, err := unpack.ReadFull(x.data, at*x.blockSize+int64((i%int(n)+int(n))%int(n))*xfsLogBlock, xfsLogBlock)
		if err != nil {
			return make([]byte, xfsLogBlock)
		}
		return p
	}
	round := func(i int) uint32 {
		p := unit(i)
		if be.Uint32(p) == xfsLogMagic {
			return be.Uint32(p[4:])
		}
		return be.Uint32(p)
	}
	first := round(0)
	head := sort.Search(int(n), func(i int) bool { return round(i) != first })
	for i := 1; i <= min(xfsLogRecord, int(n)); i++ {
		p := unit(head - i)
		if be.Uint32(p) != xfsLogMagic {
			continue
		}
		headers := 1
		if size := int(be.Uint32(p[320:])); be.Uint32(p[8:])&2 != 0 && size > 32<<10 {
			headers = min((size+32<<10-1)/(32<<10), 8)
		}
		// One operation, whose header of 12 bytes has the flag.
		return be.Uint32(p[40:]) == 1 && unit(head - i + headers)[9]&xfsLogUnmount != 0, nil
	}
	return false, errXFSLogEmpty
}
