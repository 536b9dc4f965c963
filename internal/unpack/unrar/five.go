package unrar

const (
	mainCodes   = 306
	distCodes   = 64
	distCodes7  = 80
	lowCodes    = 16
	repeatCodes = 44

	maxFilterBlock = 4 << 20
)

// Add5 decodes a file of RAR 5 of size bytes; wide says that distances are
// those of RAR 7. On an error the output ends where it happened.
func (d *Decoder) Add5(src []byte, size int, wide bool) error {
	d.begin(src, size)
	return d.finish(d.five(wide))
}

func (d *Decoder) five(wide bool) error {
	for {
		end, last, err := d.block(wide)
		if err != nil {
			return err
		}
		for d.at < end {
			if done, err := d.token(wide); done || err != nil {
				return err
			}
		}
		if last || d.over() {
			return nil
		}
		d.at = end
	}
}

// block reads a block's header and its codes, and returns where it ends.
func (d *Decoder) block(wide bool) (end int, last bool, err error) {
	d.align()
	flags, sum := byte(d.take(8)), byte(d.take(8))
	n := int(flags>>3&3) + 1
	if n == 4 {
		return 0, false, ErrCorrupt
	}
	size, check := 0, 0x5a^flags
	for i := range n {
		c := byte(d.take(8))
		size |= int(c) << (8 * i)
		check ^= c
	}
	if d.over() {
		return 0, false, ErrInput
	}
	if check != sum {
		return 0, false, ErrCorrupt
	}
	end = d.at + 8*(size-1) + int(flags&7) + 1
	if flags&0x80 != 0 {
		if !d.tables(wide) {
			return 0, false, ErrCorrupt
		}
	} else if !d.started {
		return 0, false, ErrCorrupt
	}
	return end, flags&0x40 != 0, nil
}

func (d *Decoder) tables(wide bool) bool {
	dist := distCodes
	if wide {
		dist = distCodes7
	}
	var lens [mainCodes + distCodes7 + lowCodes + repeatCodes]byte
	rest := lens[:mainCodes+dist+lowCodes+repeatCodes]
	if !d.lengths(rest, false) {
		return false
	}
	d.started = d.main.Set(rest[:mainCodes], false)
	rest = rest[mainCodes:]
	d.started = d.started && d.dist.Set(rest[:dist], false)
	rest = rest[dist:]
	d.started = d.started && d.low.Set(rest[:lowCodes], false) && d.repeat.Set(rest[lowCodes:], false)
	return d.started
}

// token decodes a literal, a match or a filter; done says that the file is full.
func (d *Decoder) token(wide bool) (done bool, err error) {
	s := d.symbol(&d.main)
	if d.over() {
		return true, ErrInput
	}
	switch {
	case s < 0:
		return true, ErrCorrupt
	case s == 256:
		return false, d.filter5()
	case len(d.out) == d.end:
		return true, nil
	case s < 256:
		d.out = append(d.out, byte(s))
		return false, nil
	case s == 257:
		if d.lastLength == 0 {
			return false, nil
		}
		return false, d.put(d.lastLength, d.recent[0])
	case s < 262:
		distance := d.repeated(s - 258)
		if d.lastLength = d.length(d.symbol(&d.repeat)); d.lastLength < 0 {
			return true, ErrCorrupt
		}
		return false, d.put(d.lastLength, distance)
	}
	length, distance := d.length(s-262), d.distance()
	if distance < 0 {
		return true, ErrCorrupt
	}
	for _, far := range [...]int{0x100, 0x2000, 0x40000} {
		if distance > far {
			length++
		}
	}
	d.remember(distance)
	d.lastLength = length
	return false, d.put(length, distance)
}

// length is that of a slot.
func (d *Decoder) length(slot int) int {
	if slot < 8 {
		if slot < 0 {
			return -1
		}
		return slot + 2
	}
	n := slot/4 - 1
	return (4|slot&3)<<n + int(d.take(n)) + 2
}

func (d *Decoder) distance() int {
	slot := d.symbol(&d.dist)
	if slot < 4 {
		return slot + 1 // 0 if there is no symbol, which put refuses
	}
	n := slot/2 - 1
	distance := (2|slot&1)<<n + 1
	if n < 4 {
		return distance + int(d.take(n))
	}
	distance += int(d.take(n-4)) << 4
	low := d.symbol(&d.low)
	if low < 0 {
		return -1
	}
	return distance + low
}

// filter5 reads a filter over bytes to come.
func (d *Decoder) filter5() error {
	number := func() (v int) {
		for i := range int(d.take(2)) + 1 {
			v |= int(d.take(8)) << (8 * i)
		}
		return v
	}
	f := filter{start: len(d.out) + number(), size: number(), file: d.start, kind: filterKind5[d.take(3)]}
	if f.kind == delta {
		f.channels = int(d.take(5)) + 1
	}
	if f.kind == none {
		return ErrCorrupt
	}
	return d.addFilter(f)
}

// addFilter notes a filter. Those that reach over the file's end are never
// undone by any reader; all together may not cost more than the content does.
func (d *Decoder) addFilter(f filter) error {
	if f.size > maxFilterBlock || f.start+f.size > d.end {
		return nil
	}
	if d.work += f.size + 64; d.work > 8*(d.end+1<<20) {
		return ErrCorrupt
	}
	d.filters = append(d.filters, f)
	return nil
}
