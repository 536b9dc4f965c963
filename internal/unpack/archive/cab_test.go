package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// cabFiles are contents that cross blocks.
func cabFiles(t testing.TB) (names []string, files map[string][]byte) {
	t.Helper()
	prog, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewSource(5))
	noise := make([]byte, 70_001)
	rnd.Read(noise)
	files = map[string][]byte{"a.txt": bytes.Repeat([]byte("some text, again and again\r\n"), 3000), "noise": noise, "prog": prog, "one": {7}, "dir/b": []byte("in a folder")}
	return []string{"a.txt", "noise", "prog", "one", "dir/b"}, files
}

func gcab(t testing.TB, args ...string) ([]byte, map[string][]byte) {
	t.Helper()
	names, files := cabFiles(t)
	dir := t.TempDir()
	for _, n := range names {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o755)
		os.WriteFile(filepath.Join(dir, n), files[n], 0o644)
	}
	testtool.Run(t, dir, "gcab", append(append(args, "-c", "out.cab"), names...)...)
	b, err := os.ReadFile(filepath.Join(dir, "out.cab"))
	if err != nil {
		t.Fatal(err)
	}
	return b, files
}

// sameFiles compares the entries' content with what was packed.
func sameFiles(t *testing.T, o *unpack.Object, files map[string][]byte) {
	t.Helper()
	found := 0
	for _, e := range o.Entries {
		if e.Mode.IsDir() {
			continue
		}
		found++
		var b []byte
		err := e.Err
		if e.Data != nil && err == nil {
			b, err = unpack.ReadAll(e.Data, 1<<30)
		}
		if want, ok := files[e.Path]; !ok || err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s: %d bytes of %d: %v", e.Path, len(b), len(want), err)
		}
	}
	if found != len(files) {
		t.Errorf("%d files of %d", found, len(files))
	}
}

func TestCab(t *testing.T) {
	testtool.Need(t, "gcab")
	for _, args := range [][]string{nil, {"-z"}} {
		b, files := gcab(t, args...)
		o := unpacktest.OpenBytes(t, Cab, append(bytes.Clone(b), "behind"...))
		if o.Size != int64(len(b)) {
			t.Errorf("%d of %d bytes", o.Size, len(b))
		}
		sameFiles(t, o, files)
	}
}

func TestCabDamage(t *testing.T) {
	testtool.Need(t, "gcab")
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat([]byte("some text, again and again\r\n"), 200), 0o644)
	os.WriteFile(filepath.Join(dir, "g"), []byte("more"), 0o644)
	// The checksum of a block, an exclusive or, does not notice words that change
	// places; packed blocks do by themselves.
	for _, args := range [][]string{{"-c", "a.cab"}, {"-z", "-c", "a.cab"}} {
		os.Remove(filepath.Join(dir, "a.cab"))
		testtool.Run(t, dir, "gcab", append(args, "f", "g")...)
		b, _ := os.ReadFile(filepath.Join(dir, "a.cab"))
		unpacktest.Damage(t, Cab, b, unpacktest.Damaged{Rounds: 300, Unchecked: args[0] != "-z", From: bytes.Index(b, []byte("g\x00")) + 2})
	}
}

// makeCab puts packed frames into a cabinet of one folder.
func makeCab(method uint16, frames [][]byte, plain []int, names []string, files map[string][]byte, flags uint16) []byte {
	le := binary.LittleEndian
	var list, data []byte
	off := uint32(0)
	for _, n := range names {
		list = le.AppendUint32(list, uint32(len(files[n])))
		list = le.AppendUint32(list, off)
		list = le.AppendUint16(list, flags)
		list = append(append(append(list, 0x21, 0x58, 0, 0, 0x20, 0), strings.ReplaceAll(n, "/", "\\")...), 0)
		off += uint32(len(files[n]))
	}
	for i, f := range frames {
		h := le.AppendUint16(le.AppendUint16(nil, uint16(len(f))), uint16(plain[i]))
		data = append(append(le.AppendUint32(data, cabSum(h, cabSum(f, 0))), h...), f...)
	}
	b := []byte("MSCF\x00\x00\x00\x00")
	b = le.AppendUint32(b, uint32(cabHeader+8+len(list)+len(data)))
	b = append(le.AppendUint32(append(b, 0, 0, 0, 0), cabHeader+8), 0, 0, 0, 0, 3, 1)
	b = le.AppendUint16(le.AppendUint16(b, 1), uint16(len(names)))
	b = append(b, 0, 0, 0x34, 0x12, 0, 0)
	b = le.AppendUint32(b, uint32(cabHeader+8+len(list)))
	b = le.AppendUint16(le.AppendUint16(b, uint16(len(frames))), method)
	return append(append(b, list...), data...)
}

// lzxWriter is an encoder of the test's own: fixed codes that use every symbol,
// blocks of all three types, matches with new and with recent offsets.
type lzxWriter struct {
	out    []byte
	hold   uint64
	have   uint
	recent [3]int
	lens   []byte // of the block before
	lenLen []byte
}

func (w *lzxWriter) put(v uint32, n uint) {
	w.hold = w.hold<<n | uint64(v)
	for w.have += n; w.have >= 16; w.have -= 16 {
		word := uint16(w.hold >> (w.have - 16))
		w.out = append(w.out, byte(word), byte(word>>8))
	}
}

func (w *lzxWriter) flush(always bool) {
	if n := 16 - w.have%16; n < 16 || always {
		w.put(0, n)
	}
}

// fixed gives n symbols codes of two lengths that use up the room.
func fixed(n int) (lens []byte, codes []uint32) {
	bits := 0
	for 1<<(bits+1) <= n {
		bits++
	}
	short := 1<<(bits+1) - n
	code := uint32(0)
	for i := range n {
		if i < short {
			lens, codes = append(lens, byte(bits)), append(codes, code)
			code++
			if i == short-1 {
				code <<= 1
			}
		} else {
			lens, codes = append(lens, byte(bits+1)), append(codes, code)
			code++
		}
	}
	return lens, codes
}

func (w *lzxWriter) lengths(old, lens []byte) {
	pre, codes := fixed(20)
	for _, n := range pre {
		w.put(uint32(n), 4)
	}
	for i := 0; i < len(lens); {
		run := 1
		for i+run < len(lens) && lens[i+run] == lens[i] && (old[i+run] == old[i]) {
			run++
		}
		s := (int(old[i]) - int(lens[i]) + 17) % 17
		if run >= 5 { // a run of the same length
			w.put(codes[19], uint(pre[19]))
			w.put(1, 1)
			w.put(codes[s], uint(pre[s]))
			i += 5
			continue
		}
		w.put(codes[s], uint(pre[s]))
		i++
	}
}

func lzxEncode(plain []byte, windowBits int, rnd *rand.Rand, x86 int) (frames [][]byte, sizes []int) {
	slots := map[int]int{15: 30, 16: 32, 17: 34, 18: 36, 19: 38, 20: 42, 21: 50}[windowBits]
	w := &lzxWriter{recent: [3]int{1, 1, 1}, lens: make([]byte, 256+8*slots), lenLen: make([]byte, 249)}
	main, mainCode := fixed(256 + 8*slots)
	length, lengthCode := fixed(249)
	if x86 > 0 {
		w.put(1, 1)
		w.put(uint32(x86)>>16, 16)
		w.put(uint32(x86)&0xffff, 16)
	} else {
		w.put(0, 1)
	}
	last := map[string]int{}
	kind, left := 0, 0
	odd := false
	for at := 0; at < len(plain); {
		end := min((at/cabBlock+1)*cabBlock, len(plain))
		start := at
		for at < end {
			if left == 0 {
				if odd {
					w.out, odd = append(w.out, 0), false
				}
				kind, left = 1+rnd.Intn(3), min(1+rnd.Intn(50_000), len(plain)-at)
				w.put(uint32(kind), 3)
				w.put(uint32(left>>8), 16)
				w.put(uint32(left&0xff), 8)
				switch kind {
				case 3:
					w.flush(true)
					for _, r := range w.recent {
						w.out = binary.LittleEndian.AppendUint32(w.out, uint32(r))
					}
					odd = left%2 == 1
				default:
					if kind == 2 {
						for range 8 {
							w.put(3, 3)
						}
					}
					w.lengths(w.lens[:256], main[:256])
					w.lengths(w.lens[256:], main[256:])
					w.lengths(w.lenLen, length)
					w.lens, w.lenLen = main, length
				}
			}
			stop := min(end, at+left)
			if kind == 3 {
				w.out = append(w.out, plain[at:stop]...)
				left -= stop - at
				at = stop
				continue
			}
			n, from := 0, 0
			if at+3 <= stop {
				key := string(plain[at : at+3])
				if p, ok := last[key]; ok && at-p < 1<<windowBits-3 {
					for n < 257 && at+n < stop && plain[p+n] == plain[at+n] {
						n++
					}
					from = at - p
				}
				last[key] = at
			}
			if n < 2 {
				w.put(mainCode[plain[at]], uint(main[plain[at]]))
				at, left = at+1, left-1
				continue
			}
			w.match(n, from, kind, main, mainCode, length, lengthCode)
			at, left = at+n, left-n
		}
		if kind != 3 || left == 0 && !odd {
			w.flush(false)
		}
		frames, sizes = append(frames, w.out), append(sizes, at-start)
		w.out = nil
	}
	return frames, sizes
}

func (w *lzxWriter) match(n, from, kind int, main []byte, mainCode []uint32, length []byte, lengthCode []uint32) {
	slot, extra, low := -1, uint(0), 0
	for i, r := range w.recent {
		if r == from && slot < 0 {
			slot = i
			w.recent[0], w.recent[i] = w.recent[i], w.recent[0]
		}
	}
	if slot < 0 {
		base := 0
		for slot = 0; ; slot++ {
			extra = 0
			if slot >= 4 {
				extra = uint(min(slot/2-1, 17))
			}
			if from+2 < base+1<<extra {
				break
			}
			base += 1 << extra
		}
		low = from + 2 - base
		w.recent = [3]int{from, w.recent[0], w.recent[1]}
	}
	s := 256 + slot*8 + min(n-2, 7)
	w.put(mainCode[s], uint(main[s]))
	if n-2 >= 7 {
		w.put(lengthCode[n-9], uint(length[n-9]))
	}
	if kind == 2 && extra >= 3 {
		w.put(uint32(low>>3), extra-3)
		w.put(uint32(low&7), 3) // the code of eight symbols of three bits is the symbol
		return
	}
	w.put(uint32(low), extra)
}

// translate is what an encoder does to x86 calls: their targets become absolute.
func translate(b []byte, size int) []byte {
	b = bytes.Clone(b)
	for start := 0; start < len(b); start += cabBlock {
		f := b[start:min(start+cabBlock, len(b))]
		for i := 0; i < len(f)-10; i++ {
			if f[i] != 0xe8 {
				continue
			}
			at, rel := start+i, int(int32(binary.LittleEndian.Uint32(f[i+1:])))
			switch {
			case rel >= -at && rel < size-at:
				rel += at
			case rel >= size-at && rel < size:
				rel -= size
			}
			binary.LittleEndian.PutUint32(f[i+1:], uint32(rel))
			i += 4
		}
	}
	return b
}

func lzxCab(t testing.TB, windowBits int, x86 bool) ([]byte, map[string][]byte) {
	names, files := cabFiles(t)
	var plain []byte
	for _, n := range names {
		plain = append(plain, files[n]...)
	}
	packed, size := plain, 0
	if x86 {
		size = len(plain)
		packed = translate(plain, size)
	}
	frames, sizes := lzxEncode(packed, windowBits, rand.New(rand.NewSource(int64(windowBits))), size)
	return makeCab(uint16(cabLZX|windowBits<<8), frames, sizes, names, files, 0), files
}

func TestCabLZX(t *testing.T) {
	testtool.Need(t, "cabextract")
	for bits := 15; bits <= 21; bits++ {
		for _, x86 := range []bool{false, true} {
			b, files := lzxCab(t, bits, x86)
			dir := t.TempDir()
			os.WriteFile(filepath.Join(dir, "a.cab"), b, 0o644)
			testtool.Run(t, dir, "cabextract", "-q", "a.cab")
			for n, want := range files {
				if got, err := os.ReadFile(filepath.Join(dir, n)); !bytes.Equal(got, want) {
					t.Fatalf("cabextract reads %s differently: %v", n, err)
				}
			}
			sameFiles(t, unpacktest.OpenBytes(t, Cab, b), files)
		}
	}
}

func TestCabSpanned(t *testing.T) {
	names, files := []string{"a", "b"}, map[string][]byte{"a": []byte("xyz"), "b": []byte("w")}
	for _, c := range []struct {
		method, folder uint16
		want           string
	}{{cabQuantum, 0, "Quantum"}, {0, cabFromPrevious, "begins in another"}, {0, cabToNext, "goes on in another"}, {0, 3, "damaged"}} {
		b := makeCab(c.method, [][]byte{[]byte("xyzw")}, []int{4}, names, files, c.folder)
		o := unpacktest.OpenBytes(t, Cab, b)
		if got := fmt.Sprint(o.Entries[0].Err); !strings.Contains(got, c.want) {
			t.Error(got)
		}
	}
}

func FuzzCab(f *testing.F) {
	b, _ := lzxCab(f, 15, true)
	names, files := []string{"a", "b"}, map[string][]byte{"a": []byte("xyz"), "b": []byte("w")}
	stored := makeCab(0, [][]byte{[]byte("xyzw")}, []int{4}, names, files, 0)
	unpacktest.Fuzz(f, Cab, b, stored)
}
