package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// exfatWriter adds files to a file system that mkfs.exfat made, by the
// specification: bitmap, table, sets of entries.
type exfatWriter struct {
	img                       []byte
	table, heap, cluster, nxt int
}

type exfatItem struct {
	name     string
	content  []byte
	side     bool        // in one piece, without the table
	valid    int         // -1: all
	items    []exfatItem // of a folder
	folder   bool
	deleted  bool
	readOnly bool
}

func newExfatWriter(t testing.TB, kib int, args ...string) *exfatWriter {
	t.Helper()
	img := edit(t, make([]byte, kib<<10), "mkfs.exfat", append(args, "IMG")...)
	w := &exfatWriter{img: img}
	u32 := func(i int) int { return int(binary.LittleEndian.Uint32(img[i:])) }
	ss := 1 << img[108]
	w.table, w.heap, w.cluster, w.nxt = u32(80)*ss, u32(88)*ss, ss<<img[109], u32(96)+1
	return w
}

// store puts bytes into clusters: side by side, or with holes between them.
func (w *exfatWriter) store(b []byte, side, deleted bool) (start int) {
	last := 0
	for n := 0; n*w.cluster < len(b); n++ {
		c := w.nxt
		if w.nxt++; !side && n%3 == 1 {
			w.nxt++
		}
		copy(w.img[w.heap+(c-2)*w.cluster:], b[n*w.cluster:min(len(b), (n+1)*w.cluster)])
		if !deleted {
			w.img[w.heap+(c-2)/8] |= 1 << ((c - 2) % 8) // the bitmap is in cluster 2
		}
		if last == 0 {
			start = c
		} else if !side {
			binary.LittleEndian.PutUint32(w.img[w.table+last*4:], uint32(c))
		}
		if last = c; !side {
			binary.LittleEndian.PutUint32(w.img[w.table+c*4:], 0xffffffff)
		}
	}
	return start
}

// set is the entries of one item.
func (w *exfatWriter) set(it exfatItem) []byte {
	content := it.content
	attr := uint16(0x20)
	if it.folder {
		content, attr = w.entries(it.items), 0x10
		content = append(content, make([]byte, w.cluster-len(content)%w.cluster)...)
	}
	if it.readOnly {
		attr |= 1
	}
	size, valid := len(content), len(content)
	if it.valid > 0 {
		valid = it.valid
		content = append(content[:valid:valid], bytes.Repeat([]byte("old"), (size-valid)/3)...)
	}
	units := utf16.Encode([]rune(it.name))
	names := (len(units) + 14) / 15
	b := make([]byte, 32*(2+names))
	b[0], b[1] = 0x85, byte(1+names)
	binary.LittleEndian.PutUint16(b[4:], attr)
	for _, at := range []int{8, 12, 16} {
		binary.LittleEndian.PutUint32(b[at:], uint32((2021-1980)<<25|3<<21|4<<16|5<<11|6<<5|7))
	}
	b[21], b[22], b[23], b[24] = 50, 0x80|4, 0x80|4, 0x80|4 // one hour east
	s := b[32:]
	s[0], s[1], s[3] = 0xc0, 1, byte(len(units))
	if it.side {
		s[1] = 3
	}
	hash := uint16(0)
	for _, u := range utf16.Encode([]rune(strings.ToUpper(it.name))) {
		for _, c := range []byte{byte(u), byte(u >> 8)} {
			hash = hash<<15 | hash>>1
			hash += uint16(c)
		}
	}
	binary.LittleEndian.PutUint16(s[4:], hash)
	binary.LittleEndian.PutUint64(s[8:], uint64(valid))
	binary.LittleEndian.PutUint64(s[24:], uint64(size))
	if size > 0 {
		binary.LittleEndian.PutUint32(s[20:], uint32(w.store(content, it.side, it.deleted)))
	} else {
		s[1] = 1
	}
	for i, u := range units {
		binary.LittleEndian.PutUint16(b[64+i/15*32+2+i%15*2:], u)
	}
	for i := range names {
		b[64+32*i] = 0xc1
	}
	sum := uint16(0)
	for i, c := range b {
		if i != 2 && i != 3 {
			sum = sum<<15 | sum>>1
			sum += uint16(c)
		}
	}
	binary.LittleEndian.PutUint16(b[2:], sum)
	for i := 0; it.deleted && i < len(b); i += 32 {
		b[i] &^= 0x80
	}
	return b
}

func (w *exfatWriter) entries(items []exfatItem) (b []byte) {
	for _, it := range items {
		b = append(b, w.set(it)...)
	}
	return b
}

// root appends to the root folder, whose first three entries mkfs made.
func (w *exfatWriter) root(items []exfatItem) []byte {
	at := w.heap + (w.nxt-3)*w.cluster
	for w.img[at] != 0 {
		at += 32
	}
	copy(w.img[at:at+w.cluster-96], w.entries(items))
	return w.img
}

// exfatItems is a random tree.
func exfatItems(rnd *rand.Rand, depth int) (items []exfatItem) {
	for i := range 2 + rnd.Intn(6) {
		it := exfatItem{name: fmt.Sprintf("%s %d.ext", strings.Repeat("näme", rnd.Intn(12)), i), side: rnd.Intn(2) == 0, readOnly: rnd.Intn(5) == 0}
		if depth < 3 && rnd.Intn(4) == 0 {
			it.folder, it.items = true, exfatItems(rnd, depth+1)
		} else {
			it.content = noise(rnd.Int63(), rnd.Intn(20000))
			if n := len(it.content); n > 100 && rnd.Intn(4) == 0 {
				it.valid = 1 + rnd.Intn(n-1)
				clear(it.content[it.valid:])
			}
		}
		items = append(items, it)
	}
	return items
}

func exfatWant(dir string, items []exfatItem, want map[string]string) {
	for _, it := range items {
		if it.folder {
			exfatWant(dir+it.name+"/", it.items, want)
		} else {
			want[dir+it.name] = sumOfBytes(it.content)
		}
	}
}

func TestExFAT(t *testing.T) {
	testtool.Need(t, "mkfs.exfat")
	rnd := rand.New(rand.NewSource(3))
	for i, args := range []string{"-L LABEL", "-c 512", "-c 32K", "-c 4K", "-c 1K -b 4K", "-c 4K --pack-bitmap"} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			items := exfatItems(rnd, 0)
			if args == "-c 512" { // the root folder has room for little
				items = []exfatItem{{name: "all", folder: true, items: items}}
			}
			w := newExfatWriter(t, 8<<10, strings.Fields(args)...)
			if w.heap == 0 || strings.Contains(args, "pack") {
				items = nil // its bitmap is elsewhere: opened as it is
			}
			img := w.root(items)
			testtool.Run(t, "", "fsck.exfat", "-n", tempFile(t, img))
			o := unpacktest.OpenBytes(t, ExFAT, append(bytes.Clone(img), "something behind it"...))
			want := map[string]string{}
			exfatWant("", items, want)
			for _, e := range o.Entries {
				if e.Mode.IsDir() {
					continue
				}
				got := sumOfBytes(nil)
				if e.Data != nil {
					got = sumOf(t, e.Data)
				}
				if want[e.Path] != got {
					t.Errorf("%s: wrong or too much", e.Path)
				}
				if e.ModTime != time.Date(2021, 3, 4, 4, 6, 14, 500e6, time.UTC) {
					t.Errorf("%v", e.ModTime)
				}
				delete(want, e.Path)
			}
			if len(want) > 0 || o.Size != int64(len(img)) {
				t.Errorf("missing: %v; %d bytes", want, o.Size)
			}
			if i == 0 && o.Info["label"] != "LABEL" {
				t.Errorf("%v", o.Info)
			}
		})
	}
}

func exfatSample(t testing.TB) []byte {
	w := newExfatWriter(t, 512, "-c", "4K", "-b", "4K")
	return w.root([]exfatItem{
		{name: "chain.bin", content: noise(1, 15000)},
		{name: "side.bin", content: noise(2, 9000), side: true},
		{name: "Folder", folder: true, items: []exfatItem{{name: "a rather long name of more than one entry.txt", content: noise(3, 100)}}},
		{name: "gone.bin", content: noise(4, 9000), side: true, deleted: true},
	})
}

func TestExFATDamaged(t *testing.T) {
	img := exfatSample(t)
	o := unpacktest.OpenBytes(t, ExFAT, img)
	tree := unpack.NewTree(o.Entries)
	if e := tree.Entry("gone.bin"); e == nil || !e.Deleted || sumOf(t, e.Data) != sumOfBytes(noise(4, 9000)) {
		t.Errorf("the deleted file: %+v", e)
	}
	b := bytes.Clone(img)
	clear(b[:512])
	if o, err := ExFAT.Open(unpacktest.Input(b)); err != nil || o.Err == nil || len(o.Entries) != 6 {
		t.Errorf("the second boot region: %v", err)
	}
	unpacktest.Damage(t, ExFAT, img, unpacktest.Damaged{Rounds: 300, To: 24 * 512})
	unpacktest.Damage(t, ExFAT, img, unpacktest.Damaged{Rounds: 300, Unchecked: true})
}

func FuzzExFAT(f *testing.F) {
	img := exfatSample(f)
	unpacktest.Fuzz(f, ExFAT, img[:min(len(img), 100<<10)])
}
