package lzms

import "testing"

// TestSlots has the ends of the tables.
func TestSlots(t *testing.T) {
	if len(offsetBase) != 799 || offsetBase[9] != 0xd || offsetBase[798] != 0x065be4a5 || offsetBits[7] != 0 || offsetBits[8] != 2 || offsetBits[797] != 20 {
		t.Errorf("%d offsets: %x %x", len(offsetBase), offsetBase[9], offsetBase[798])
	}
	if len(lengthBase) != 54 || lengthBase[53] != 0x108ab || lengthBits[52] != 16 || lengthBits[53] != 30 {
		t.Errorf("%d lengths: %x", len(lengthBase), lengthBase[53])
	}
}

// TestBuild keeps codes within 15 bits however uneven the frequencies are.
func TestBuild(t *testing.T) {
	c := code{freq: make([]int, 40)}
	a, b := 1, 1
	for i := range c.freq {
		c.freq[i] = a
		a, b = b, a+b
	}
	c.build()
	seen := map[int]bool{}
	for v := range 1 << 16 {
		s, n := c.High(uint64(v) << 48)
		if n == 0 || n > maxCodeBits {
			t.Fatalf("%016b has %d bits", v, n)
		}
		seen[s] = true
	}
	if len(seen) != 40 {
		t.Errorf("%d symbols", len(seen))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("some bytes that mean something: or nothing"))
	f.Fuzz(func(t *testing.T, src []byte) { Decode(make([]byte, 50_000), src) })
}
