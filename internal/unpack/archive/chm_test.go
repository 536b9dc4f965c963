package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// chmNumber writes a number of seven bits a byte, from the highest on.
func chmNumber(v int) []byte {
	b := []byte{byte(v & 0x7f)}
	for v >>= 7; v > 0; v >>= 7 {
		b = append([]byte{byte(v&0x7f) | 0x80}, b...)
	}
	return b
}

// makeCHM writes a help file: the files named stored as they are, the others
// packed, so that LZX starts anew at every second frame.
func makeCHM(t testing.TB, files map[string][]byte, stored string) []byte {
	le := binary.LittleEndian
	var names []string
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	type place struct{ section, at, size int }
	places := map[string]place{}
	var plain, zero []byte
	for _, n := range names {
		if n == stored {
			places[n] = place{0, len(zero), len(files[n])}
			zero = append(zero, files[n]...)
		} else {
			places[n] = place{1, len(plain), len(files[n])}
			plain = append(plain, files[n]...)
		}
	}
	size := len(plain)
	plain = append(plain, make([]byte, (chmFrame-size%chmFrame)%chmFrame)...)
	rnd := rand.New(rand.NewSource(9))
	var packed, table []byte
	count := 0
	for i := 0; i < len(plain); i += 2 * chmFrame {
		frames, _ := lzxEncode(plain[i:min(i+2*chmFrame, len(plain))], 16, rnd, 0)
		for _, f := range frames {
			table = le.AppendUint64(table, uint64(len(packed)))
			packed = append(packed, f...)
			count++
		}
	}
	reset := le.AppendUint32(nil, 2)
	for _, v := range []int{count, 8, 0x28} {
		reset = le.AppendUint32(reset, uint32(v))
	}
	for _, v := range []int{size, len(packed), chmFrame} {
		reset = le.AppendUint64(reset, uint64(v))
	}
	control := append(le.AppendUint32(nil, 6), "LZXC"...)
	for _, v := range []uint32{2, 2, 2, 1, 0} {
		control = le.AppendUint32(control, v)
	}
	for name, b := range map[string][]byte{chmStorage + "Content": packed, chmStorage + "ControlData": control, chmResets: append(reset, table...)} {
		places[name] = place{0, len(zero), len(b)}
		names = append(names, name)
		zero = append(zero, b...)
	}
	sort.Strings(names)
	const chunk = 4096
	page := append([]byte("PMGL"), make([]byte, 16)...)
	le.PutUint32(page[12:], 0xffffffff)
	le.PutUint32(page[16:], 0xffffffff)
	for _, n := range names {
		p := places[n]
		page = append(append(page, chmNumber(len(n))...), n...)
		for _, v := range []int{p.section, p.at, p.size} {
			page = append(page, chmNumber(v)...)
		}
	}
	le.PutUint32(page[4:], uint32(chunk-len(page)))
	page = append(page, make([]byte, chunk-len(page))...)
	const dir, content = 0x78, 0x78 + chmDirectory + chunk
	b := make([]byte, dir+chmDirectory)
	copy(b, chmMagic)
	le.PutUint32(b[4:], 3)
	le.PutUint32(b[8:], chmHeader)
	le.PutUint32(b[12:], 1)
	copy(b[0x18:], "\x10\xfd\x01\x7c\xaa\x7b\xd0\x11\x9e\x0c\x00\xa0\xc9\x22\xe6\xec\x11\xfd\x01\x7c\xaa\x7b\xd0\x11\x9e\x0c\x00\xa0\xc9\x22\xe6\xec")
	for i, v := range []int{0x60, 0x18, dir, chmDirectory + chunk, content} {
		le.PutUint64(b[0x38+8*i:], uint64(v))
	}
	le.PutUint32(b[0x60:], 0x1fe)
	le.PutUint64(b[0x68:], uint64(content+len(zero)))
	s := b[dir:]
	copy(s, "ITSP")
	for at, v := range map[int]uint32{4: 1, 8: chmDirectory, 12: 10, 16: chunk, 20: 2, 24: 1, 28: 0xffffffff, 32: 0, 36: 0, 40: 0xffffffff, 44: 1, 48: 0x409, 0x44: chmDirectory, 0x48: 0xffffffff, 0x4c: 0xffffffff, 0x50: 0xffffffff} {
		le.PutUint32(s[at:], v)
	}
	copy(s[0x34:], "\x6a\x92\x02\x5d\x2e\x21\xd0\x11\x9d\xf9\x00\xa0\xc9\x22\xe6\xec")
	return append(append(b, page...), zero...)
}

func chmSample(t testing.TB) ([]byte, map[string][]byte) {
	_, files := cabFiles(t)
	list := map[string][]byte{}
	for n, b := range files {
		list["/"+n] = b
	}
	list["/#SYSTEM"] = []byte("what the compiler says")
	return makeCHM(t, list, "/#SYSTEM"), list
}

// TestCHM reads what chmlib reads of the same file.
func TestCHM(t *testing.T) {
	testtool.Need(t, "extract_chmLib")
	b, files := chmSample(t)
	o := unpacktest.OpenBytes(t, CHM, append(bytes.Clone(b), "behind"...))
	if o.Size != int64(len(b)) {
		t.Errorf("%d of %d bytes", o.Size, len(b))
	}
	sameFiles(t, o, files)
	dir := t.TempDir()
	unpacktest.WriteFile(t, dir, "a.chm", b)
	os.MkdirAll(filepath.Join(dir, "out/dir"), 0o755)
	testtool.Run(t, dir, "extract_chmLib", "a.chm", "out")
	for n, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, "out", n)); n != "/#SYSTEM" && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("chmlib: %s: %d bytes, %v", n, len(got), err)
		}
	}
	for _, e := range o.Entries { // from the middle on
		if want := files["/"+unpack.CleanPath(e.Path)]; len(want) > 100_000 {
			if got := unpack.ReadSome(e.Data, 70_000, 100); !bytes.Equal(got, want[70_000:70_100]) {
				t.Errorf("%s: other bytes in the middle", e.Path)
			}
		}
	}
}

// TestCHMDamage has no checksum to rely on: nothing may vanish without a word.
func TestCHMDamage(t *testing.T) {
	b := makeCHM(t, map[string][]byte{"/a": bytes.Repeat([]byte("some text\n"), 900), "/b": []byte("b")}, "/b")
	unpacktest.Damage(t, CHM, b, unpacktest.Damaged{Rounds: 300, Unchecked: true})
}

// TestCHMRing has a list of chunks that ends nowhere.
func TestCHMRing(t *testing.T) {
	b := makeCHM(t, map[string][]byte{"/a": []byte("a")}, "/a")
	at := bytes.Index(b, []byte("PMGL"))
	binary.LittleEndian.PutUint32(b[at+16:], 0)
	if o, err := CHM.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
		t.Error(fmt.Sprint(o, err))
	}
}

func FuzzCHM(f *testing.F) {
	unpacktest.Fuzz(f, CHM, makeCHM(f, map[string][]byte{"/a": bytes.Repeat([]byte("some text\n"), 9000), "/b": []byte("b")}, "/b"))
}
