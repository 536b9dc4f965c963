package flash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// UBI opens the volume manager of raw flash (drivers/mtd/ubi/ubi-media.h of
// Linux): erase blocks with a header each, which say what part of which volume
// they hold. Each volume is a part.
var UBI = &unpack.Reader{
	Name:    "ubi",
	Checked: "ubinize with 6 option sets",
	Doc:     "UBI images and dumps: dynamic and static volumes, of copies of a block the newest that is whole",
	Magics:  []unpack.Magic{{At: 0, Bytes: ubiMagic}},
	Carve:   true,
	Open:    openUBI,
}

const (
	ubiMagic    = "UBI#"
	ubiVIDMagic = "UBI!"
	ubiLayout   = 0x7fffefff // id of the volume that holds the volume table
	ubiRecord   = 172        // bytes of an entry of the table

	maxPEB     = 16 << 20
	maxUBILost = 64      // erase blocks without a header in a row: bad ones
	maxLEB     = 1 << 22 // blocks of a volume
)

// ubiSum is the checksum of UBI and UBIFS: CRC-32 without the last inversion.
func ubiSum(b []byte) uint32 { return ^crc32.ChecksumIEEE(b) }

// ubiEC is what an erase counter header says.
type ubiEC struct {
	vid, data, sequence uint32 // offset of the volume header and of the data; the image's number
}

func parseEC(b []byte) (h ubiEC, ok bool) {
	if len(b) < 64 || string(b[:4]) != ubiMagic || b[4] != 1 || ubiSum(b[:60]) != binary.BigEndian.Uint32(b[60:]) {
		return h, false
	}
	h = ubiEC{binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint32(b[24:])}
	return h, h.vid >= 64 && h.data >= h.vid+64 && h.data < maxPEB
}

// ubiBlock is one erase block of a volume.
type ubiBlock struct {
	at       int64 // of its data
	lnum     uint32
	kind     byte // 1 dynamic, 2 static
	copied   bool // made by wear levelling: valid only if its checksum is right
	size     int64
	pad      uint32
	sum      uint32
	sequence uint64
	used     uint32 // blocks of a static volume
}

// ubiImage is an image while it is opened.
type ubiImage struct {
	data    unpack.Bytes
	ec      ubiEC
	peb     int64
	end     int64
	volumes map[uint32]map[uint32]ubiBlock
	room    int64 // bytes that the volumes may still have: holes in them cost nothing in the image
	gaps    []unpack.Gap
}

func openUBI(in *unpack.Input) (*unpack.Object, error) {
	ec, ok := parseEC(unpack.ReadSome(in.Data, 0, 64))
	if !ok {
		return nil, unpack.ErrNotThis
	}
	u := &ubiImage{data: in.Data, ec: ec, volumes: map[uint32]map[uint32]ubiBlock{}, room: 4*in.Data.Size() + 64<<20}
	if u.peb = u.findPEB(); u.peb == 0 {
		return nil, unpack.ErrNotThis
	}
	if err := u.scan(in); err != nil {
		return nil, err
	}
	o := &unpack.Object{Format: "ubi", Size: u.end, Info: map[string]string{
		"erase block": fmt.Sprint(u.peb), "headers": fmt.Sprintf("%d and %d", u.ec.vid, u.ec.data), "image sequence": fmt.Sprint(u.ec.sequence),
	}}
	o.Parts = u.parts()
	o.Gaps = u.gaps
	return o, nil
}

// findPEB returns the size of an erase block: the distance to the next header
// of the same image. 0 if there is none.
func (u *ubiImage) findPEB() int64 {
	// Sizes are a multiple of the least unit of writing. A bad block next to
	// the first hides the true size, so the distance to the next few counts.
	w := unpack.NewSlider(u.data)
	best := u.nextHeader(w, 0, maxPEB)
	for i := int64(1); i < 4 && best > 0; i++ {
		if closer := u.nextHeader(w, i*best, best-8); closer > 0 {
			best, i = closer, 0
		}
	}
	return best
}

// nextHeader is the distance, at most limit, from a header to the next one; 0
// if there is none.
func (u *ubiImage) nextHeader(w *unpack.Slider, from, limit int64) int64 {
	// Dataflash has blocks of a multiple of 264 bytes, all other of 512.
	for off := (int64(u.ec.data) + 8) &^ 7; off <= limit && from+off+64 <= u.data.Size(); off += 8 {
		if b := w.At(from+off, 64); len(b) == 64 && b[0] == 'U' && b[1] == 'B' && u.sameImage(b) {
			return off
		}
	}
	return 0
}

func (u *ubiImage) sameImage(b []byte) bool {
	h, ok := parseEC(b)
	return ok && h.vid == u.ec.vid && h.data == u.ec.data && (h.sequence == u.ec.sequence || h.sequence == 0 || u.ec.sequence == 0)
}

// scan reads the headers of all erase blocks.
func (u *ubiImage) scan(in *unpack.Input) error {
	w := unpack.NewSlider(u.data)
	lost := 0
	for at := int64(0); at+64 <= u.data.Size() && lost <= maxUBILost; at += u.peb {
		if err := in.Context.Err(); err != nil {
			return err
		}
		if b := w.At(at, 64); len(b) < 64 || !u.sameImage(b) {
			if h, ok := parseEC(b); ok && h.sequence != u.ec.sequence {
				break // another image begins
			}
			lost++
			continue
		}
		lost = 0
		if u.end = at + u.peb; u.end > u.data.Size() {
			u.end = u.data.Size()
			u.damaged(fmt.Sprintf("truncated: the last erase block has %d of %d bytes", u.end-at, u.peb))
		}
		u.block(w, at)
	}
	return nil
}

// block takes an erase block in, if it belongs to a volume.
func (u *ubiImage) block(w *unpack.Slider, at int64) {
	b := w.At(at+int64(u.ec.vid), 64)
	be := binary.BigEndian
	if len(b) < 64 || string(b[:4]) != ubiVIDMagic || ubiSum(b[:60]) != be.Uint32(b[60:]) {
		return
	}
	id := be.Uint32(b[8:])
	n := ubiBlock{
		at: at + int64(u.ec.data), kind: b[5], copied: b[6] != 0, lnum: be.Uint32(b[12:]), size: int64(be.Uint32(b[20:])), used: be.Uint32(b[24:]),
		pad: be.Uint32(b[28:]), sum: be.Uint32(b[32:]), sequence: be.Uint64(b[40:]),
	}
	room := u.peb - int64(u.ec.data)
	if n.lnum >= maxLEB || int64(n.pad) >= room || n.size > room-int64(n.pad) {
		return
	}
	v := u.volumes[id]
	if v == nil {
		v = map[uint32]ubiBlock{}
		u.volumes[id] = v
	}
	old, twice := v[n.lnum]
	if !twice || u.better(n, old) {
		v[n.lnum] = n
	}
}

// better says that of two copies of a block n counts: the newer one, unless it
// is a copy that was not finished.
func (u *ubiImage) better(n, old ubiBlock) bool {
	if n.sequence > old.sequence {
		return u.whole(n) || !u.whole(old)
	}
	return n.sequence < old.sequence && u.whole(n) && !u.whole(old)
}

// whole checks the data of a copied or static block.
func (u *ubiImage) whole(n ubiBlock) bool {
	if !n.copied && n.kind != 2 {
		return true
	}
	sum := uint32(0)
	err := unpack.Chunks(u.data, n.at, n.size, func(p []byte) { sum = crc32.Update(sum, crc32.IEEETable, p) })
	return err == nil && ^sum == n.sum
}

// ubiVolume is an entry of the volume table.
type ubiVolume struct {
	name     string
	reserved uint32
	updating bool // an update was cut off: the content is not whole
}

// table reads the volume table, from either copy.
func (u *ubiImage) table() map[uint32]ubiVolume {
	for lnum := range uint32(2) {
		n, ok := u.volumes[ubiLayout][lnum]
		if !ok {
			continue
		}
		list := map[uint32]ubiVolume{}
		b := unpack.ReadSome(u.data, n.at, min(128*ubiRecord, u.peb-int64(u.ec.data)))
		good := len(b) >= ubiRecord
		for id := 0; len(b) >= ubiRecord && good; id, b = id+1, b[ubiRecord:] {
			r := b[:ubiRecord]
			be := binary.BigEndian
			if good = ubiSum(r[:168]) == be.Uint32(r[168:]); good && be.Uint32(r) != 0 {
				name := r[16 : 16+min(int(be.Uint16(r[14:])), 128)]
				list[uint32(id)] = ubiVolume{string(bytes.TrimRight(name, "\x00")), be.Uint32(r), r[13] != 0}
			}
		}
		if good {
			return list
		}
	}
	return nil
}

// damaged notes what is wrong with a volume: the others are whole.
func (u *ubiImage) damaged(note string) {
	u.gaps = append(u.gaps, unpack.Gap{Reason: "damaged", Note: note})
}

// parts are the volumes, by number.
func (u *ubiImage) parts() []unpack.Part {
	table := u.table()
	if table == nil {
		u.damaged("no copy of the volume table is whole; volumes have no names")
	}
	ids := map[uint32]bool{}
	for id := range u.volumes {
		ids[id] = id < ubiLayout
	}
	for id := range table {
		ids[id] = true
	}
	var order []uint32
	for id, shown := range ids {
		if shown {
			order = append(order, id)
		}
	}
	slices.Sort(order)
	var list []unpack.Part
	for _, id := range order {
		v, named := table[id]
		if !named {
			v.name = fmt.Sprintf("volume%d", id)
		}
		p := unpack.Part{Name: strings.ToValidUTF8(v.name, "?"), Offset: -1, Info: map[string]string{"id": fmt.Sprint(id), "reserved blocks": fmt.Sprint(v.reserved)}}
		if v.updating {
			p.Info["state"] = "an update was cut off"
		}
		if len(u.volumes[id]) == 0 {
			p.Data = unpack.Slice(nil)
			p.Info["state"] = "empty"
		} else {
			if c := u.content(id, &p); c != nil {
				p.Data = c
			}
		}
		list = append(list, p)
	}
	return unpack.NumberParts(list)
}

// content puts the blocks of a volume in order.
func (u *ubiImage) content(id uint32, p *unpack.Part) *ubiContent {
	blocks := u.volumes[id]
	last, pad := uint32(0), uint32(0)
	var any ubiBlock
	for lnum, n := range blocks {
		last, pad, any = max(last, lnum), max(pad, n.pad), n
	}
	leb := u.peb - int64(u.ec.data) - int64(pad)
	if u.room -= int64(last+1) * leb; u.room < 0 {
		u.gaps = append(u.gaps, unpack.Gap{Reason: "limit", Note: fmt.Sprintf("volume %s states block %d, many more than the image has", p.Name, last)})
		return nil
	}
	c := &ubiContent{data: u.data, leb: leb, at: make([]int64, last+1)}
	for i := range c.at {
		c.at[i] = -1
	}
	for lnum, n := range blocks {
		c.at[lnum] = n.at
		if p.Offset < 0 || n.at < p.Offset {
			p.Offset = n.at
		}
	}
	c.size = int64(last+1) * c.leb
	p.Info["type"] = "dynamic"
	if any.kind == 2 {
		p.Info["type"] = "static"
		u.static(blocks, c, p.Name)
	}
	return c
}

// static checks what only static volumes have: all blocks are there, with
// their sizes and checksums.
func (u *ubiImage) static(blocks map[uint32]ubiBlock, c *ubiContent, name string) {
	var bad []string
	last := blocks[uint32(len(c.at)-1)]
	c.size = int64(len(c.at)-1)*c.leb + last.size
	if int64(last.used) != int64(len(c.at)) {
		bad = append(bad, fmt.Sprintf("%d of %d blocks", len(c.at), last.used))
	}
	for lnum := range c.at {
		n, ok := blocks[uint32(lnum)]
		switch {
		case len(bad) > 8:
			return
		case !ok:
			bad = append(bad, fmt.Sprintf("block %d is missing", lnum))
		case !u.whole(n):
			bad = append(bad, fmt.Sprintf("the checksum of block %d is wrong", lnum))
		}
	}
	if bad != nil {
		u.damaged(fmt.Sprintf("volume %s: %s", name, strings.Join(bad, ", ")))
	}
}

// ubiContent is the bytes of a volume; a block that is not there reads as
// erased.
type ubiContent struct {
	data unpack.Bytes
	leb  int64
	size int64
	at   []int64
}

// Size implements Bytes.
func (c *ubiContent) Size() int64 { return c.size }

// ReadAt implements Bytes.
func (c *ubiContent) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= c.size {
		return 0, io.EOF
	}
	var err error
	if int64(len(p)) > c.size-off {
		p, err = p[:c.size-off], io.EOF
	}
	for n := 0; n < len(p); {
		lnum, skip := (off+int64(n))/c.leb, (off+int64(n))%c.leb
		part := p[n:min(int64(len(p)), int64(n)+c.leb-skip)]
		if at := c.at[lnum]; at < 0 {
			for i := range part {
				part[i] = 0xff
			}
		} else if got, err := c.data.ReadAt(part, at+skip); got < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n + got, err
		}
		n += len(part)
	}
	return len(p), err
}
