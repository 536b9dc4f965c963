package pattern

import "math/bits"

// Class is a set of bytes: 1 at those that are in it, else 0.
type Class [256]uint8

// ClassOf makes a class of the bytes for which in holds.
func ClassOf(in func(c byte) bool) *Class {
	var k Class
	for c := range 256 {
		if in(byte(c)) {
			k[c] = 1
		}
	}
	return &k
}

// Has says that a byte is in the class.
func (k *Class) Has(c byte) bool { return k[c] != 0 }

// Runs calls f for each run, as long as it goes, of at least least (1 to 32)
// bytes of the class, until f returns false. It looks at 64 bytes at once: their
// membership is a number of 64 bits, in which long enough runs show without a
// branch for each byte.
func (k *Class) Runs(b []byte, least int, f func(from, to int) bool) {
	for i := 0; i < len(b); {
		block := b[i:min(i+64, len(b))]
		mask := k.mask(block)
		long := atLeast(mask, least)
		next := i + len(block)
		if len(block) == 64 && mask>>63 != 0 {
			// What the block ends with may go on in the next one.
			long |= ^uint64(0) << (64 - bits.LeadingZeros64(^mask))
		}
		for long != 0 {
			at := bits.TrailingZeros64(long)
			end := i + at + bits.TrailingZeros64(^(mask >> at))
			if end == next {
				for end < len(b) && k[b[end]] != 0 {
					end++
				}
				next = end
				long = 0
			} else {
				long &= ^uint64(0) << (end - i)
			}
			if end-i-at >= least && !f(i+at, end) {
				return
			}
		}
		i = next
	}
}

// mask has a bit for each byte of a block, the first one lowest: 1 if it is in
// the class.
func (k *Class) mask(block []byte) (mask uint64) {
	i := 0
	for ; i+8 <= len(block); i += 8 {
		b := block[i : i+8 : i+8]
		mask |= uint64(k[b[0]]|k[b[1]]<<1|k[b[2]]<<2|k[b[3]]<<3|k[b[4]]<<4|k[b[5]]<<5|k[b[6]]<<6|k[b[7]]<<7) << (i & 63)
	}
	for ; i < len(block); i++ {
		mask |= uint64(k[block[i]]) << (i & 63)
	}
	return mask
}

// atLeast leaves of a mask the bits with which runs of at least n bits begin or
// go on for n bits.
func atLeast(mask uint64, n int) uint64 {
	for have := 1; have < n; {
		step := min(have, n-have)
		mask &= mask >> step
		have += step
	}
	return mask
}
