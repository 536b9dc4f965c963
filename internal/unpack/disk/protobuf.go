package disk

import "encoding/binary"

// protoFields calls f with every field of a message in the wire format of
// protocol buffers: numbers in value, the rest in data. It returns false if the
// message can't be parsed.
func protoFields(b []byte, f func(field int, value uint64, data []byte)) bool {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return false
		}
		b = b[n:]
		value, data := uint64(0), []byte(nil)
		switch key & 7 {
		case 0:
			if value, n = binary.Uvarint(b); n <= 0 {
				return false
			}
		case 1:
			if n = 8; len(b) < n {
				return false
			}
			value = binary.LittleEndian.Uint64(b)
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return false
			}
			n = m + int(size)
			data = b[m:n]
		case 5:
			if n = 4; len(b) < n {
				return false
			}
			value = uint64(binary.LittleEndian.Uint32(b))
		default:
			return false
		}
		f(int(key>>3), value, data)
		b = b[n:]
	}
	return true
}
