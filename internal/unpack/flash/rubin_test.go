package flash

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// codeRubin is an independent coder, of numbers of unlimited width: the
// interval is kept whole and its bits are written at the end of each step.
func codeRubin(bits [8]int, total int, plain []byte) []byte {
	var out []bool
	p, q := 65536, 0
	put := func() {
		out = append(out, q >= 32768)
		q, p = q%32768*2, p*2
	}
	for _, v := range plain {
		for bit := range 8 {
			for q >= 32768 || p+q <= 32768 {
				put()
			}
			zero := (total - bits[bit]) * p / total
			if zero <= 0 {
				zero = 1
			}
			if zero >= p {
				zero = p - 1
			}
			if v>>bit&1 == 0 {
				p = zero
			} else {
				p, q = p-zero, q+zero
			}
		}
	}
	for range 16 {
		put()
	}
	packed := make([]byte, (len(out)+7)/8)
	for i, one := range out {
		if one {
			packed[i/8] |= 0x80 >> (i % 8)
		}
	}
	return packed
}

// packRubin packs with the fixed model, or with one that is measured.
func packRubin(dynamic bool, plain []byte) []byte {
	if !dynamic {
		return codeRubin([8]int{277, 249, 290, 267, 229, 341, 212, 241}, 1043, plain)
	}
	var bits [8]int
	var head []byte
	for i := range bits {
		for _, v := range plain {
			bits[i] += int(v >> i & 1)
		}
		bits[i] = min(max(bits[i]*256/len(plain), 1), 255)
		head = append(head, byte(bits[i]))
	}
	return append(head, codeRubin(bits, 256, plain)...)
}

func TestRubin(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain := rapid.SliceOfN(rapid.SampledFrom([]byte("\x00\x00\x00\x01abcd\xff")), 1, 4096).Draw(rt, "plain")
		for _, method := range []byte{3, 5} {
			for _, dynamic := range []bool{false, true} {
				packed := packRubin(dynamic, plain)
				got := make([]byte, len(plain))
				if !unpackRubin(method, packed, got) || !bytes.Equal(got, plain) {
					rt.Fatalf("method %d, dynamic %v: %.20x instead of %.20x", method, dynamic, got, plain)
				}
			}
		}
	})
}

// TestRubinDamage: one plain text has one coding, so that a changed bit shows
// or gives another text's coding.
func TestRubinDamage(t *testing.T) {
	plain := bytes.Repeat([]byte("words of a text "), 100)
	packed := packRubin(false, plain)
	for at := range packed {
		b := bytes.Clone(packed)
		b[at] ^= 0x10
		got := make([]byte, len(plain))
		if !unpackRubin(5, b, got) || bytes.Equal(got, plain) {
			continue
		}
		// The spare bits behind the end don't count.
		if again := packRubin(false, got); !bytes.HasPrefix(b, again[:len(again)-1]) {
			t.Errorf("byte %d: wrong bytes", at)
		}
	}
}
