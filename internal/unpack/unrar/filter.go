package unrar

import "encoding/binary"

// kind is what a filter undoes: what the packer did to program code, pictures or
// sound to make it pack better.
type kind byte

const (
	none kind = iota
	delta
	x86Calls
	x86CallsJumps
	x86Calls3 // RAR 4's differ in that offsets don't wrap
	x86CallsJumps3
	arm
	itanium
	rgb
	audio
)

// filterKind5 are the kinds by their number in RAR 5.
var filterKind5 = [8]kind{delta, x86Calls, x86CallsJumps, arm}

// filter is to be undone on size bytes from start on.
type filter struct {
	kind        kind
	start, size int
	file        int // where the file starts
	channels    int // or the width of a picture
	red         int // the place of red in a pixel
}

func (f *filter) undo(b []byte, at int) {
	switch f.kind {
	case delta:
		undoDelta(b, f.channels)
	case x86Calls, x86CallsJumps:
		undoX86(b, at, 1<<24-1, f.kind == x86CallsJumps)
	case x86Calls3, x86CallsJumps3:
		undoX86(b, at, 1<<32-1, f.kind == x86CallsJumps3)
	case arm:
		for i := 0; i+4 <= len(b); i += 4 {
			if b[i+3] == 0xeb {
				v := binary.LittleEndian.Uint32(b[i:])&0xffffff - uint32(at+i)/4
				b[i], b[i+1], b[i+2] = byte(v), byte(v>>8), byte(v>>16)
			}
		}
	case itanium:
		undoItanium(b, uint32(at)>>4)
	case rgb:
		undoRGB(b, f.channels, f.red)
	case audio:
		undoAudio(b, f.channels)
	}
}

func undoDelta(b []byte, channels int) {
	src := append([]byte(nil), b...)
	for c := range min(channels, len(b)) {
		prev := byte(0)
		for i := c; i < len(b); i += channels {
			prev -= src[0]
			src = src[1:]
			b[i] = prev
		}
	}
}

func undoX86(b []byte, at int, mask uint32, jumps bool) {
	const size = 1 << 24
	for i := 0; i+4 < len(b); i++ {
		if b[i] != 0xe8 && !(jumps && b[i] == 0xe9) {
			continue
		}
		offset := uint32(at+i+1) & mask
		p := b[i+1:]
		target := binary.LittleEndian.Uint32(p)
		switch {
		case int32(target) < 0:
			if int32(target+offset) >= 0 {
				binary.LittleEndian.PutUint32(p, target+size)
			}
		case target < size:
			binary.LittleEndian.PutUint32(p, target-offset)
		}
		i += 4
	}
}

// itaniumSlots are which of a bundle's three instructions may be branches, by
// template.
var itaniumSlots = [16]byte{4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0}

func undoItanium(b []byte, at uint32) {
	for ; len(b) > 21; b, at = b[16:], at+1 {
		template := int(b[0]&31) - 16
		if template < 0 {
			continue
		}
		for slot := range 3 {
			if itaniumSlots[template]&(1<<slot) == 0 {
				continue
			}
			first := slot*41 + 5
			if itaniumBits(b, first+37)&15 != 5 {
				continue
			}
			place := first + 13
			p := b[place/8:]
			v, shift := binary.LittleEndian.Uint32(p), place%8
			target := (v>>shift - at) & 0xfffff
			binary.LittleEndian.PutUint32(p, v&^(0xfffff<<shift)|target<<shift)
		}
	}
}

func itaniumBits(b []byte, at int) uint32 {
	return binary.LittleEndian.Uint32(b[at/8:]) >> (at % 8)
}

func abs(n int) int { return max(n, -n) }

// undoRGB undoes the prediction of each colour from the left, above, and left
// above (as PNG's Paeth), and the difference of red and blue to green.
func undoRGB(b []byte, width, red int) {
	if width -= 3; len(b) < 3 || width < 0 || width > len(b) || red > 2 {
		return
	}
	src := append([]byte(nil), b...)
	for c := range 3 {
		prev := byte(0)
		for i := c; i < len(b); i += 3 {
			predicted := prev
			if i >= width+3 {
				up, upLeft := b[i-width], b[i-width-3]
				v := int(prev) + int(up) - int(upLeft)
				left, above, corner := abs(v-int(prev)), abs(v-int(up)), abs(v-int(upLeft))
				switch {
				case left <= above && left <= corner:
				case above <= corner:
					predicted = up
				default:
					predicted = upLeft
				}
			}
			prev = predicted - src[0]
			src = src[1:]
			b[i] = prev
		}
	}
	for i := red; i < len(b)-2; i += 3 {
		b[i] += b[i+1]
		b[i+2] += b[i+1]
	}
}

// undoAudio undoes a prediction that learns which of three differences to weigh.
func undoAudio(b []byte, channels int) {
	src := append([]byte(nil), b...)
	for c := range min(channels, len(b)) {
		var dif [7]int
		var d, k [3]int
		prev, prevDelta := 0, 0
		for i, n := c, 0; i < len(b); i, n = i+channels, n+1 {
			d[2], d[1], d[0] = d[1], prevDelta-d[0], prevDelta
			predicted := (8*prev + k[0]*d[0] + k[1]*d[1] + k[2]*d[2]) >> 3 & 0xff
			cur := src[0]
			src = src[1:]
			b[i] = byte(predicted) - cur
			prevDelta = int(int8(int(b[i]) - prev))
			prev = int(b[i])

			v := int(int8(cur)) << 3
			dif[0] += abs(v)
			for j := range d {
				dif[1+2*j] += abs(v - d[j])
				dif[2+2*j] += abs(v + d[j])
			}
			if n&31 == 0 {
				least := 0
				for j := range dif {
					if dif[j] < dif[least] {
						least = j
					}
				}
				dif = [7]int{}
				if least > 0 {
					w := &k[(least-1)/2]
					if least&1 == 1 {
						if *w >= -16 {
							*w--
						}
					} else if *w < 16 {
						*w++
					}
				}
			}
		}
	}
}
