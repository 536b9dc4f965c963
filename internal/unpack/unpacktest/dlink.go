package unpacktest

import "encoding/binary"

// MakeDLink writes the header structure over some sections.
func MakeDLink(order binary.ByteOrder, header, slots int, sections ...[]byte) []byte {
	b := make([]byte, header)
	var sums []uint32
	for i := range slots {
		var s []byte
		if i < len(sections) {
			s = sections[i]
		}
		order.PutUint32(b[8*i:], uint32(len(b)))
		order.PutUint32(b[8*i+4:], uint32(len(s)))
		sum := uint32(0)
		for j := 0; j+4 <= len(s); j += 4 {
			sum ^= order.Uint32(s[j:])
		}
		sums = append(sums, sum)
		b = append(b, s...)
	}
	for i, sum := range sums {
		order.PutUint32(b[8*slots+4*i:], sum)
	}
	copy(b[12*slots:header], "\x55\xaaSOMENAME\x55\xaa")
	return b
}
