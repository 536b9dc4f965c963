package unrar

import (
	"hash/crc32"

	"github.com/doorward/doorward/internal/unpack/ppmd"
)

const (
	mainCodes3   = 299
	distCodes3   = 60
	lowCodes3    = 17
	repeatCodes3 = 28

	maxPrograms = 1024
	maxProgram  = 64 << 10
)

// three is what RAR 4 has besides.
type three struct {
	model    ppmd.Model
	isModel  bool // the block is packed with PPMd
	escape   int
	tables   bool // there are codes to go on with
	lens     [mainCodes3 + distCodes3 + lowCodes3 + repeatCodes3]byte
	prevLow  int
	lowCount int // how often prevLow is still to be taken

	programs []kind // of filters that were sent
	sizes    []int  // the last block's size of each
	last     int
}

// Bases and numbers of further bits of lengths, distances, and short distances.
var (
	lengthBase3 = [28]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224}
	lengthBits3 = [28]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5}
	shortBase3  = [8]int{0, 4, 8, 16, 32, 64, 128, 192}
	shortBits3  = [8]int{2, 2, 3, 4, 5, 6, 6, 6}

	distBase3, distBits3 = func() (base, bits [distCodes3]int) {
		slot, at := 0, 0
		for n, count := range [19]int{4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 14, 0, 12} {
			for range count {
				base[slot], bits[slot] = at, n
				at += 1 << n
				slot++
			}
		}
		return base, bits
	}()
)

// Add3 decodes a file of RAR 2.9 to 4 of size bytes. On an error the output
// ends where it happened.
func (d *Decoder) Add3(src []byte, size int) error {
	d.begin(src, size)
	if !d.started {
		d.started = true
		d.three.escape = 2
	}
	if !d.three.tables {
		if err := d.tables3(); err != nil {
			return d.finish(err)
		}
	}
	for {
		step := d.token3
		if d.three.isModel {
			step = d.tokenModel
		}
		if done, err := step(); done || err != nil {
			return d.finish(err)
		}
	}
}

// tables3 reads what starts a block: parameters of the model, or codes.
func (d *Decoder) tables3() error {
	d.align()
	if d.peek()>>63 == 1 {
		d.three.isModel = true
		return d.model3()
	}
	t := &d.three
	t.isModel = false
	t.prevLow, t.lowCount = 0, 0
	if d.take(2)&1 == 0 {
		t.lens = [len(t.lens)]byte{}
	}
	if !d.lengths(t.lens[:], true) {
		return ErrCorrupt
	}
	lens := t.lens[:]
	ok := d.main.Set(lens[:mainCodes3], false)
	lens = lens[mainCodes3:]
	ok = ok && d.dist.Set(lens[:distCodes3], false)
	lens = lens[distCodes3:]
	if !ok || !d.low.Set(lens[:lowCodes3], false) || !d.repeat.Set(lens[lowCodes3:], false) {
		return ErrCorrupt
	}
	t.tables = true
	return nil
}

func (d *Decoder) model3() error {
	flags := d.next()
	memory := byte(0)
	if flags&0x20 != 0 {
		memory = d.next()
	} else if !d.three.model.Started() {
		return ErrCorrupt
	}
	if flags&0x40 != 0 {
		d.three.escape = int(d.next())
	}
	if flags&0x20 != 0 {
		order := int(flags&31) + 1
		if order > 16 {
			order = 16 + (order-16)*3
		}
		size := (uint32(memory) + 1) << 20
		if order < ppmd.MinOrder {
			return ErrCorrupt
		}
		if int64(size) > d.Memory {
			return ErrMemory
		}
		if d.over() {
			return ErrInput
		}
		d.three.model.Start(order, size)
	}
	d.three.model.Begin(d.next)
	d.three.tables = true
	return nil
}

// tokenModel decodes a byte, or what follows the escape.
func (d *Decoder) tokenModel() (done bool, err error) {
	m := &d.three.model
	c := m.Symbol()
	// The range decoder is four bytes ahead of what it decodes.
	if d.at > 8*(len(d.src)+8) {
		return true, ErrInput
	}
	if c < 0 {
		return true, ErrCorrupt
	}
	if c == d.three.escape {
		switch e := m.Symbol(); e {
		case -1:
			return true, ErrCorrupt
		case 0:
			return false, d.tables3()
		case 2:
			return true, nil
		case 3:
			return false, d.program(func() int { return m.Symbol() })
		case 4:
			distance := 0
			for range 3 {
				distance = distance<<8 | m.Symbol()&0xff
			}
			length := m.Symbol()
			if length < 0 {
				return true, ErrCorrupt
			}
			return len(d.out) == d.end, d.put(length+32, distance+2)
		case 5:
			length := m.Symbol()
			if length < 0 {
				return true, ErrCorrupt
			}
			return len(d.out) == d.end, d.put(length+4, 1)
		}
	}
	if len(d.out) == d.end {
		return true, nil
	}
	d.out = append(d.out, byte(c))
	return false, nil
}

func (d *Decoder) token3() (done bool, err error) {
	s := d.symbol(&d.main)
	if d.over() {
		return true, ErrInput
	}
	switch {
	case s < 0:
		return true, ErrCorrupt
	case s == 256:
		return d.endOfBlock()
	case s == 257:
		return false, d.program(func() int { return int(d.take(8)) })
	case len(d.out) == d.end:
		return true, nil
	case s < 256:
		d.out = append(d.out, byte(s))
		return false, nil
	case s == 258:
		if d.lastLength == 0 {
			return false, nil
		}
		return false, d.put(d.lastLength, d.recent[0])
	case s < 263:
		distance := d.repeated(s - 259)
		slot := d.symbol(&d.repeat)
		if slot < 0 {
			return true, ErrCorrupt
		}
		d.lastLength = lengthBase3[slot] + 2 + int(d.take(lengthBits3[slot]))
		return false, d.put(d.lastLength, distance)
	case s < 271:
		distance := shortBase3[s-263] + 1 + int(d.take(shortBits3[s-263]))
		d.remember(distance)
		d.lastLength = 2
		return false, d.put(2, distance)
	}
	length := lengthBase3[s-271] + 3 + int(d.take(lengthBits3[s-271]))
	distance := d.distance3()
	if distance < 0 {
		return true, ErrCorrupt
	}
	for _, far := range [...]int{0x2000, 0x40000} {
		if distance >= far {
			length++
		}
	}
	d.remember(distance)
	d.lastLength = length
	return false, d.put(length, distance)
}

func (d *Decoder) distance3() int {
	slot := d.symbol(&d.dist)
	if slot < 0 {
		return -1
	}
	distance, n := distBase3[slot]+1, distBits3[slot]
	if slot < 10 {
		return distance + int(d.take(n))
	}
	distance += int(d.take(n-4)) << 4
	t := &d.three
	if t.lowCount > 0 {
		t.lowCount--
		return distance + t.prevLow
	}
	switch low := d.symbol(&d.low); low {
	case -1:
		return -1
	case 16:
		t.lowCount = 15
	default:
		t.prevLow = low
	}
	return distance + t.prevLow
}

// endOfBlock reads if the file ends with the block, and if codes follow.
func (d *Decoder) endOfBlock() (done bool, err error) {
	if d.take(1) == 1 {
		return false, d.tables3()
	}
	d.three.tables = d.take(1) == 0
	return true, nil
}

// programs3 are the programs that the packer sends, by length and CRC-32: they
// are known rather than run.
var programs3 = map[[2]uint32]kind{
	{53, 0xad576887}: x86Calls3, {57, 0x3cd7e57e}: x86CallsJumps3, {120, 0x3769893f}: itanium,
	{29, 0x0e06077d}: delta, {149, 0x1c2c5dc8}: rgb, {216, 0xbc85e701}: audio,
}

// program reads a filter: its program, or the number of one sent before, and
// what it is to be applied to.
func (d *Decoder) program(next func() int) error {
	first := next()
	n := first&7 + 1
	switch n {
	case 7:
		n = next() + 7
	case 8:
		n = next() << 8
		n |= next()
	}
	// Programs give no output: what they cost is counted.
	if d.work += n + 64; d.work > 8*(d.end+1<<20) {
		return ErrCorrupt
	}
	if first < 0 || n <= 0 || d.at > 8*(len(d.src)+8) {
		return ErrCorrupt
	}
	code := make([]byte, n)
	for i := range code {
		code[i] = byte(next())
	}
	if d.at > 8*(len(d.src)+8) {
		return ErrInput
	}
	return d.parseProgram(first, &bitReader{src: code})
}

func (d *Decoder) parseProgram(first int, b *bitReader) error {
	t := &d.three
	at := t.last
	if first&0x80 != 0 {
		if at = int(b.number()); at == 0 {
			t.programs, t.sizes = nil, nil
		} else {
			at--
		}
	}
	if at < 0 || at > len(t.programs) || at >= maxPrograms {
		return ErrCorrupt
	}
	t.last = at
	fresh := at == len(t.programs)
	if fresh {
		t.programs, t.sizes = append(t.programs, none), append(t.sizes, 0)
	}
	f := filter{start: len(d.out) + int(b.number()), file: d.start}
	if first&0x40 != 0 {
		f.start += 258
	}
	if first&0x20 != 0 {
		t.sizes[at] = int(b.number())
	}
	f.size = t.sizes[at]
	var registers [7]uint32
	if first&0x10 != 0 {
		set := b.take(7)
		for i := range registers {
			if set&(1<<i) != 0 {
				registers[i] = b.number()
			}
		}
	}
	if fresh {
		n := b.number()
		if n == 0 || n >= maxProgram || int(n) > len(b.src) {
			return ErrCorrupt
		}
		code := make([]byte, n)
		for i := range code {
			code[i] = byte(b.take(8))
		}
		t.programs[at] = programs3[[2]uint32{n, crc32.ChecksumIEEE(code)}]
	}
	if b.over() {
		return ErrCorrupt
	}
	if f.kind = t.programs[at]; f.kind == none {
		return ErrUnsupported
	}
	f.channels, f.red = int(registers[0]), int(registers[1])
	if f.channels == 0 || f.channels > maxPrograms && f.kind != rgb {
		if f.kind == delta || f.kind == rgb || f.kind == audio {
			return ErrCorrupt
		}
	}
	return d.addFilter(f)
}

// number reads a number of the filters' encoding: 4, 8, 16 or 32 bits, or a
// small negative one.
func (b *bitReader) number() uint32 {
	switch b.take(2) {
	case 0:
		return uint32(b.take(4))
	case 1:
		if v := uint32(b.take(8)); v >= 16 {
			return v
		} else {
			return 0xffffff00 | v<<4 | uint32(b.take(4))
		}
	case 2:
		return uint32(b.take(16))
	}
	return uint32(b.take(32))
}
