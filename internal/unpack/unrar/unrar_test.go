package unrar

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// TestBLAKE2sp has the first of the authors' test vectors.
func TestBLAKE2sp(t *testing.T) {
	for in, want := range map[string]string{
		"":     "dd0e891776933f43c7d032b08a917e25741f8aa9a12c12e1cac8801500f2ca4f",
		"\x00": "a6b9eecc25227ad788c99d3f236debc8da408849e9a5178978727a81457f7239",
	} {
		h := NewBLAKE2sp()
		h.Write([]byte(in))
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
	whole, pieces := NewBLAKE2sp(), NewBLAKE2sp()
	b := unpacktest.Noise(1, 10_000)
	whole.Write(b)
	for i, n := 0, 1; i < len(b); i, n = i+n, n*2 {
		n = min(n, len(b)-i)
		pieces.Write(b[i : i+n])
	}
	if !bytes.Equal(whole.Sum(nil), pieces.Sum(nil)) {
		t.Error("pieces give another digest")
	}
}

func TestSolid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		five := rapid.Bool().Draw(t, "five")
		d := &Decoder{Memory: 1 << 20}
		var all []byte
		for range rapid.IntRange(1, 3).Draw(t, "files") {
			plain := unpacktest.MixedBytes(rapid.IntRange(1, 60_000).Draw(t, "size"))
			plain = plain[rapid.IntRange(0, len(plain)-1).Draw(t, "from"):]
			list := unpacktest.RarMatches(plain, all)
			var err error
			if five {
				err = d.Add5(unpacktest.PackRar5(list, len(plain), nil), len(plain), false)
			} else if src := unpacktest.PackRar3(list, nil); len(all) == 0 {
				err = d.Add3(src, len(plain))
			} else {
				// The codes of the file before stay: skip theirs.
				d.three.tables = false
				err = d.Add3(src, len(plain))
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, plain...)
		}
		if !bytes.Equal(d.Output(), all) {
			t.Fatal("other bytes")
		}
	})
}

// do applies filters as a packer does.
func do(k kind, b []byte, channels int) []byte {
	out := bytes.Clone(b)
	switch k {
	case delta:
		i := 0
		for c := range channels {
			prev := byte(0)
			for j := c; j < len(b); j += channels {
				out[i] = prev - b[j]
				prev = b[j]
				i++
			}
		}
	case x86Calls, x86CallsJumps:
		for i := 0; i+4 < len(b); i++ {
			if b[i] != 0xe8 && !(k == x86CallsJumps && b[i] == 0xe9) {
				continue
			}
			target := uint32(b[i+1]) | uint32(b[i+2])<<8 | uint32(b[i+3])<<16 | uint32(b[i+4])<<24
			if at := uint32(i + 1); target+at < 1<<24 {
				target += at
			} else if target+at >= 1<<24 && target < 1<<24 {
				target -= 1 << 24
			}
			out[i+1], out[i+2], out[i+3], out[i+4] = byte(target), byte(target>>8), byte(target>>16), byte(target>>24)
			i += 4
		}
	case arm:
		for i := 0; i+4 <= len(b); i += 4 {
			if b[i+3] == 0xeb {
				v := uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 + uint32(i)/4
				out[i], out[i+1], out[i+2] = byte(v), byte(v>>8), byte(v>>16)
			}
		}
	}
	return out
}

// TestFilters5 undoes each filter of RAR 5, in a file behind another, which
// refers to the bytes before they are filtered.
func TestFilters5(t *testing.T) {
	plain := unpacktest.MixedBytes(20_000)
	for i := 40; i < len(plain); i += 97 {
		copy(plain[i:], []byte{0xe8, byte(i), byte(i >> 3), 0, 0, 0xe9, 1, 2, 0, 0})
		copy(plain[i/4*4+12:], []byte{byte(i), 3, 0, 0xeb})
	}
	plain = plain[:20_000]
	for number, k := range filterKind5[:4] {
		d := &Decoder{}
		first := []byte("the first file")
		if err := d.Add5(unpacktest.PackRar5(unpacktest.RarMatches(first, nil), len(first), nil), len(first), false); err != nil {
			t.Fatal(err)
		}
		filtered := do(k, plain, 3)
		list := unpacktest.RarMatches(filtered, first)
		if err := d.Add5(unpacktest.PackRar5(list, len(filtered), []int{number, 2}), len(filtered), false); err != nil {
			t.Fatal(err)
		}
		if got := d.Output()[len(first):]; !bytes.Equal(got, plain) {
			t.Errorf("filter %d: other bytes", number)
		}
	}
}

// TestUnknownProgram refuses a filter that is none of the packer's own.
func TestUnknownProgram(t *testing.T) {
	// First byte: a new program, length given; two bytes of it follow. Numbers:
	// program 0 (1), from 0, 10 bytes, one byte of code.
	w := []byte{0x80 | 0x20 | 6, 0}
	code := uint64(0)
	n := 0
	for _, v := range []uint64{0, 0, 10, 1} {
		code, n = code<<6|v, n+6
	}
	code, n = code<<8|0x55, n+8
	for ; n%8 != 0; n++ {
		code <<= 1
	}
	for i := n - 8; i >= 0; i -= 8 {
		w = append(w, byte(code>>i))
	}
	w[1] = byte(len(w) - 2 - 7)
	for len(w)-2 < 7 {
		w = append(w, 0)
	}
	w[1] = byte(len(w) - 2 - 7)
	plain := []byte("0123456789abcdef")
	d := &Decoder{}
	if err := d.Add3(unpacktest.PackRar3(unpacktest.RarMatches(plain, nil), w), len(plain)); err != ErrUnsupported {
		t.Error(err)
	}
}

// TestDamaged never gives more than the size, and says what is missing.
func TestDamaged(t *testing.T) {
	plain := unpacktest.MixedBytes(20_000)
	list := unpacktest.RarMatches(plain, nil)
	for name, src := range map[string][]byte{"three": unpacktest.PackRar3(list, nil), "five": unpacktest.PackRar5(list, len(plain), nil)} {
		add := func(src []byte) ([]byte, error) {
			d := &Decoder{Memory: 1 << 20}
			if name == "three" {
				err := d.Add3(src, len(plain))
				return d.Output(), err
			}
			err := d.Add5(src, len(plain), false)
			return d.Output(), err
		}
		if out, err := add(src); err != nil || crc32.ChecksumIEEE(out) != crc32.ChecksumIEEE(plain) {
			t.Errorf("%s: %v", name, err)
		}
		for cut := 0; cut < len(src)-4; cut += 37 {
			if out, err := add(src[:cut]); err == nil || len(out) > len(plain) {
				t.Errorf("%s cut at %d: %d bytes, %v", name, cut, len(out), err)
			}
		}
	}
}

func FuzzDecoder(f *testing.F) {
	plain := unpacktest.MixedBytes(3_000)
	list := unpacktest.RarMatches(plain, nil)
	f.Add(unpacktest.PackRar3(list, nil), false)
	f.Add(unpacktest.PackRar5(list, len(plain), []int{0, 3}), true)
	f.Add(append([]byte{0xa5, 0}, plain...), false) // PPMd
	f.Fuzz(func(t *testing.T, src []byte, five bool) {
		d := &Decoder{Memory: 2 << 20}
		for range 2 {
			before := len(d.out)
			var err error
			if five {
				err = d.Add5(src, 100_000, len(src)%2 == 0)
			} else {
				err = d.Add3(src, 100_000)
			}
			if n := len(d.out) - before; n > 100_000 || err == nil && n != 100_000 {
				t.Fatalf("%d bytes, %v", n, err)
			}
		}
		d.Output()
	})
}
