package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/deflate64"
	"github.com/doorward/doorward/internal/unpack/lzma"
)

// NSIS opens the data of an installer of the Nullsoft Scriptable Install System,
// which lie behind its program. Layout: NSIS, Source/exehead/fileform.h.
var NSIS = &unpack.Reader{
	Name:    "nsis",
	Doc:     "installers of NSIS 2 and 3 (8-bit and Unicode), solid or not, with LZMA, deflate or stored: the files under the paths that the script gives them, and the script's header.",
	Limits:  "NSIS's own bzip2 is reported as unsupported; the installer's CRC is not verified; variables in paths stay as $NAME.",
	Checked: "makensis 3.08 with its compressors, solid and not, 8-bit and Unicode",
	Magics:  []unpack.Magic{{At: 4, Bytes: nsisMagic}},
	Carve:   true,
	Open:    openNSIS,
}

const (
	nsisMagic     = "\xef\xbe\xad\xdeNullsoftInst"
	nsisFirst     = 28
	nsisMaxHeader = 64 << 20
	nsisPacked    = 1 << 31
)

var errNSIS = errors.New("nsis: damaged")

type nsis struct {
	in      *unpack.Input
	end     int64
	method  string
	solid   bool
	filter  bool
	header  []byte
	data    int64  // of the files: in the input, or in plain
	plain   []byte // the stream of a solid installer
	members map[int64]bool
	files   *unpack.Solid
	places  []int64
}

func openNSIS(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, nsisFirst)
	if err != nil || string(h[4:20]) != nsisMagic {
		return nil, unpack.ErrNotThis
	}
	le := binary.LittleEndian
	headerSize, all := int64(le.Uint32(h[20:])), int64(le.Uint32(h[24:]))
	if headerSize < 64 || headerSize > nsisMaxHeader || all < nsisFirst+8 {
		return nil, unpack.ErrNotThis
	}
	n := &nsis{in: in, end: min(all, in.Data.Size())}
	o := &unpack.Object{Size: n.end, Info: map[string]string{}}
	g := unpack.NewGatherer(in)
	if all > in.Data.Size() {
		g.Damage(&unpack.CutOff{Format: "nsis", Missing: all - in.Data.Size(), Of: all})
	}
	err = n.open(headerSize)
	o.Format = "nsis " + n.method
	if n.solid {
		o.Format += " solid"
	}
	if err != nil {
		g.Damage(err)
	}
	if n.header != nil {
		o.Parts = append(o.Parts, unpack.Part{Name: "header", Data: unpack.Slice(n.header), Offset: -1})
		n.list(g)
	}
	g.Finish(o)
	return o, nil
}

// open finds out how the installer is packed, and unpacks its header.
func (n *nsis) open(size int64) error {
	sig := unpack.ReadSome(n.in.Data, nsisFirst, 16)
	if len(sig) < 16 {
		return errNSIS
	}
	first := binary.LittleEndian.Uint32(sig)
	single := first&nsisPacked != 0 && int64(first&^nsisPacked) <= n.end-nsisFirst-4 // else these are packed bytes
	switch {
	case int64(first) == size:
		n.method = "stored"
	case nsisLZMA(sig):
		n.method, n.solid = "lzma", true
	case sig[0] <= 1 && nsisLZMA(sig[1:]):
		n.method, n.solid, n.filter = "lzma", true, true
	case single && nsisLZMA(sig[4:]):
		n.method = "lzma"
	case single && sig[4] <= 1 && nsisLZMA(sig[5:]):
		n.method, n.filter = "lzma", true
	case single && !nsisBzip2(sig[4:]):
		n.method = "deflate"
	case single, nsisBzip2(sig):
		n.method = "bzip2"
		return fmt.Errorf("nsis: bzip2 of its own: %w", unpack.ErrUnsupported)
	default:
		n.method, n.solid = "deflate", true
	}
	if n.solid {
		return n.openSolid(size)
	}
	b, next, err := n.member(nsisFirst, size)
	if err == nil && int64(len(b)) != size {
		err = errNSIS
	}
	if err != nil {
		return fmt.Errorf("nsis: header: %w", err)
	}
	n.header, n.data = b, next
	n.files = unpack.NewSolid(n.in, func(i int) ([]byte, error) {
		b, _, err := n.member(n.places[i], n.most(n.end))
		return b, err
	})
	return nil
}

// openSolid unpacks everything: the header and the files, each behind its size.
func (n *nsis) openSolid(size int64) error {
	src, err := unpack.ReadFull(n.in.Data, nsisFirst, n.end-nsisFirst)
	if err != nil {
		return err
	}
	plain, err := n.unpack(src, n.most(int64(len(src))))
	if err != nil {
		err = fmt.Errorf("nsis: %w", err)
	}
	if budget := n.in.Budget.AddBytes(int64(len(plain))); err == nil {
		err = budget
	}
	if int64(len(plain)) < 4+size || int64(binary.LittleEndian.Uint32(plain)) != size {
		return errors.Join(err, errNSIS)
	}
	n.plain, n.header, n.data = plain, plain[4:4+size], 4+size
	return err
}

// most is how much may come out of packed bytes.
func (n *nsis) most(packed int64) int64 {
	l := n.in.Budget.Limits
	return min(max(unpack.RatioFree, packed*l.Ratio), l.Memory/2)
}

// nsisLZMA knows the properties of LZMA with a dictionary as makensis sets it.
func nsisLZMA(b []byte) bool {
	return b[0] == 0x5d && b[1] == 0 && b[2] == 0 && b[5] == 0 && b[6]&0x80 == 0
}

func nsisBzip2(b []byte) bool { return b[0] == 0x31 && b[1] < 14 }

// member unpacks what stands behind its size at a place of an installer that
// is not solid.
func (n *nsis) member(at, most int64) (b []byte, next int64, err error) {
	h, err := unpack.ReadFull(n.in.Data, at, 4)
	if err != nil {
		return nil, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(h))
	packed := size&nsisPacked != 0
	size &^= nsisPacked
	if next = at + 4 + size; next > n.end {
		return nil, 0, errNSIS
	}
	if b, err = unpack.ReadFull(n.in.Data, at+4, size); err != nil || !packed {
		return b, next, err
	}
	b, err = n.unpack(b, most)
	return b, next, err
}

// unpack decodes a stream of unknown size.
func (n *nsis) unpack(src []byte, most int64) ([]byte, error) {
	if n.method == "deflate" {
		out, _, err := deflate64.DecodeNSIS(src, int(most))
		return out, err
	}
	filtered := false
	if n.filter {
		if len(src) < 1 {
			return nil, errNSIS
		}
		filtered, src = src[0] == 1, src[1:]
	}
	if len(src) < 5 {
		return nil, errNSIS
	}
	var s lzma.Stream
	if err := s.Reset(src[0], src[5:]); err != nil {
		return nil, err
	}
	room, at := make([]byte, 64<<10), 0
	for {
		got, marker, err := s.Decode(room, at, len(room))
		at = got
		if err == nil && !marker && int64(at) >= most {
			err = unpack.ErrLimit
		}
		if err == nil {
			err = n.in.Context.Err()
		}
		if err != nil || marker {
			if filtered {
				lzma.UndoX86(room[:at])
			}
			return room[:at], err
		}
		grown := make([]byte, min(most, int64(2*len(room))))
		copy(grown, room[:at])
		room = grown
	}
}

// content makes an entry's content of a place in the data; false if there is
// none.
func (n *nsis) content(e *unpack.Entry, pos int64) bool {
	at := n.data + pos
	e.Order = at
	if n.solid {
		if at < n.data || at+4 > int64(len(n.plain)) {
			return false
		}
		size := int64(binary.LittleEndian.Uint32(n.plain[at:]))
		if size > int64(len(n.plain))-at-4 {
			e.Err = errNSIS
			return true
		}
		e.Data = unpack.Slice(n.plain[at+4 : at+4+size : at+4+size])
		n.members[at] = true
		return true
	}
	h, err := unpack.ReadFull(n.in.Data, at, 4)
	if err != nil || at < n.data || at+4 > n.end {
		return false
	}
	size := int64(binary.LittleEndian.Uint32(h))
	n.members[at] = true
	switch packed := size&nsisPacked != 0; {
	case size&^nsisPacked > n.end-at-4:
		e.Err = errNSIS
	case !packed:
		e.Data = unpack.Window(n.in.Data, at+4, size)
	default:
		// The size is not stated: it is known when the member is decoded.
		b, _, err := n.member(at, n.most(size&^nsisPacked))
		if err != nil {
			e.Err = fmt.Errorf("nsis: %q: %w", e.Path, err)
			return true
		}
		n.places = append(n.places, at)
		e.Data = n.files.File(len(n.places)-1, 0, int64(len(b)), nil)
	}
	return true
}

// next is the place behind a member; -1 if that can't be told.
func (n *nsis) next(at int64) int64 {
	var h []byte
	if n.solid {
		h = n.plain[min(at, int64(len(n.plain))):]
	} else {
		h = unpack.ReadSome(n.in.Data, at, 4)
	}
	if len(h) < 4 {
		return -1
	}
	return at + 4 + int64(binary.LittleEndian.Uint32(h)&^nsisPacked)
}

// windowsTime is a time in 100 ns since 1601.
func windowsTime(low, high uint32) time.Time {
	v := uint64(high)<<32 | uint64(low)
	if v == 0 || v > 1<<62 {
		return time.Time{}
	}
	const between = 11644473600
	return time.Unix(int64(v/1e7)-between, int64(v%1e7)*100).UTC()
}
