package volume

import (
	"fmt"
	"strings"
	"testing"
)

// numbers is what testdata/numbers.* unpack to; the reference implementation
// packed it.
func numbers() string {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintln(&b, i+1)
	}
	return b.String()
}

func TestLZFSE(t *testing.T) {
	want := numbers()
	for name, unpack := range map[string]func(dst, src []byte) (int, error){"lzfse": lzfse, "lzvn": lzvn} {
		packed := readFile(t, "testdata/numbers."+name)
		out := make([]byte, len(want)+10)
		if n, err := unpack(out, packed); err != nil || string(out[:n]) != want {
			t.Errorf("%s: %d of %d bytes, %v", name, n, len(want), err)
		}
		if _, err := unpack(out[:len(want)-1], packed); err == nil {
			t.Errorf("%s: more than the room, and no error", name)
		}
		for n := range len(packed) - 8 {
			if _, err := unpack(out, packed[:n]); err == nil {
				t.Errorf("%s: cut after %d bytes, and no error", name, n)
				break
			}
		}
	}
}

func FuzzLZFSE(f *testing.F) {
	f.Add(readFile(f, "testdata/numbers.lzfse"))
	f.Add(append([]byte("bvxn\x36\x36\x00\x00\xfa\x17\x00\x00"), readFile(f, "testdata/numbers.lzvn")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := make([]byte, 1<<16)
		if n, _ := lzfse(out, b); n > len(out) {
			t.Error(n)
		}
		if n, _ := lzvn(out, b); n > len(out) {
			t.Error(n)
		}
	})
}
