package lzh

// lzs decodes LArc's first method: a bit says literal or match; matches are
// places in a window of 2 KiB, and lengths.
func (d *decoder) lzs() error {
	const window, start = 2048, 2048 - 17
	for !d.full() {
		if d.take(1) == 1 {
			d.out = append(d.out, byte(d.take(8)))
		} else {
			place := d.take(11)
			length := d.take(4) + 2
			d.matchAt(place, length, start, window)
		}
		if d.over() {
			return ErrInput
		}
	}
	return nil
}

// lz5 decodes LArc's second method: flags for eight literals or matches, from
// the lowest on; places in a window of 4 KiB that starts with a pattern.
func (d *decoder) lz5() error {
	const window, start = 4096, 4096 - 18
	d.before = func(distance int) byte { return larcWindow[(start-distance+window)%window] }
	for !d.full() {
		flags := d.take(8)
		for bit := 0; bit < 8 && !d.full(); bit++ {
			if flags>>bit&1 == 1 {
				d.out = append(d.out, byte(d.take(8)))
			} else {
				low, high := d.take(8), d.take(8)
				d.matchAt(low|high&0xf0<<4, high&15+3, start, window)
			}
			if d.over() {
				return ErrInput
			}
		}
	}
	return nil
}

// matchAt copies from a place in a window, where the output starts at start.
func (d *decoder) matchAt(place, length, start, window int) {
	distance := (start + len(d.out) - place) % window
	if distance <= 0 {
		distance += window
	}
	d.match(length, distance)
}

// larcWindow is what lz5's window holds at first: 13 times each byte, all bytes
// up and down, zeros, and spaces.
var larcWindow = func() (w [4096]byte) {
	at := 18
	for c := range 256 {
		for range 13 {
			w[at] = byte(c)
			at++
		}
	}
	for c := range 256 {
		w[at], w[at+256] = byte(c), byte(255-c)
		at++
	}
	at += 256 + 128 // zeros
	for ; at < len(w); at++ {
		w[at] = ' '
	}
	for i := range 18 {
		w[i] = ' '
	}
	return w
}()
