package huffman

import (
	"math/bits"
	"testing"

	"pgregory.net/rapid"
)

// TestExample is the example of RFC 1951, section 3.2.2.
func TestExample(t *testing.T) {
	var c Code
	if !c.Set([]byte{3, 3, 3, 3, 3, 2, 4, 4}, false) {
		t.Fatal("refused")
	}
	for symbol, code := range []string{"010", "011", "100", "101", "110", "00", "1110", "1111"} {
		b := uint64(0)
		for i, bit := range code {
			b |= uint64(bit-'0') << (63 - i)
		}
		if got, n := c.High(b); got != symbol || int(n) != len(code) {
			t.Errorf("%s is %d of %d bits, not %d", code, got, n, symbol)
		}
	}
}

// TestBothEnds builds codes of every shape, long ones among them, and finds each
// symbol from either end; what is no code is none.
func TestBothEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.ByteRange(0, MaxBits), 1, 300).Draw(t, "lengths")
		var high, low Code
		ok := high.Set(lengths, false)
		if low.Set(lengths, true) != ok {
			t.Fatal("the ends disagree")
		}
		if !ok {
			return
		}
		found := map[int]bool{}
		for v := range 1 << MaxBits {
			b := uint64(v) << (64 - MaxBits)
			s, n := high.High(b)
			if s2, n2 := low.Low(bits.Reverse64(b)); s2 != s || n2 != n {
				t.Fatalf("%016b: %d of %d bits, and %d of %d", v, s, n, s2, n2)
			}
			if n > 0 && n != uint(lengths[s]) {
				t.Fatalf("symbol %d has %d bits", s, n)
			}
			found[s] = found[s] || n > 0
		}
		for s, n := range lengths {
			if n > 0 != found[s] {
				t.Fatalf("symbol %d of %d bits is found: %v", s, n, found[s])
			}
		}
	})
}

func TestRefusesTooManyCodes(t *testing.T) {
	if new(Code).Set([]byte{1, 1, 1}, false) {
		t.Error("three codes of one bit are accepted")
	}
}
