package volume

import (
	"encoding/binary"
	"errors"
)

var errLZVN = errors.New("damaged LZVN data")

// lzvn unpacks LZVN, the lighter of Apple's two codecs, into dst, which bounds
// it. Opcodes: the reference decoder of LZFSE, lzvn_decode_base.c.
func lzvn(dst, src []byte) (int, error) { return lzvnAfter(dst, 0, src) }

// lzvnAfter unpacks behind the first n bytes, to which distances may reach.
func lzvnAfter(dst []byte, n int, src []byte) (int, error) {
	back := 0
	for len(src) > 0 {
		op := src[0]
		lit, match, size := 0, 0, 1
		high, low := op>>4, op&7
		switch {
		case op == 0x06:
			return n, nil // the end
		case op == 0x0e || op == 0x16:
			src = src[1:] // nothing
			continue
		case high == 0xe:
			if lit = int(op & 15); lit == 0 {
				if len(src) < 2 {
					return n, errLZVN
				}
				lit, size = int(src[1])+16, 2
			}
		case high == 0xf:
			if match = int(op & 15); match == 0 {
				if len(src) < 2 {
					return n, errLZVN
				}
				match, size = int(src[1])+16, 2
			}
		case high == 0xa || high == 0xb: // medium distance
			if len(src) < 3 {
				return n, errLZVN
			}
			x := int(binary.LittleEndian.Uint16(src[1:]))
			lit, match, back, size = int(op>>3&3), int(op&7)<<2|x&3, x>>2, 3
			match += 3
		case high == 7 || high == 0xd || low == 6 && op < 0x40:
			return n, errLZVN // not defined
		default:
			lit, match = int(op>>6), int(op>>3&7)+3
			switch {
			case low == 7: // large distance
				if len(src) < 3 {
					return n, errLZVN
				}
				back, size = int(binary.LittleEndian.Uint16(src[1:])), 3
			case low < 6: // small distance
				if len(src) < 2 {
					return n, errLZVN
				}
				back, size = int(low)<<8|int(src[1]), 2
			}
		}
		if size+lit > len(src) || n+lit+match > len(dst) {
			return n, errLZVN
		}
		n += copy(dst[n:], src[size:size+lit])
		src = src[size+lit:]
		if match > 0 && (back == 0 || back > n) {
			return n, errLZVN
		}
		for range match {
			dst[n] = dst[n-back]
			n++
		}
	}
	return n, errLZVN // without an end
}
