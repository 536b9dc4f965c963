package flash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// yaffsTree is the sample tree without what YAFFS can't hold: links of more
// than 159 bytes.
func yaffsTree(t testing.TB) string {
	dir := unpacktest.SampleTree(t)
	os.Remove(filepath.Join(dir, "longlink"))
	return dir
}

func TestYAFFSLayouts(t *testing.T) {
	dir := yaffsTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, c := range []struct {
		page, spare, at int
		first, noCode   bool
	}{
		{512, 16, 0, true, false}, {2048, 64, 2, false, false}, {2048, 64, 0, false, false}, {2048, 64, 0, false, true},
		{2048, 64, 31, false, false}, {4096, 128, 2, false, false}, {4096, 224, 2, false, false}, {8192, 256, 2, false, true},
		{2048, 0, 0, false, false},
	} {
		for _, order := range bothOrders {
			t.Run(fmt.Sprintf("%+v %v", c, order), func(t *testing.T) {
				p := newYAFFSPacker(t, c.page, c.spare, c.at, order)
				p.first, p.noCode = c.first, c.noCode
				p.folder(dir, 1)
				o := unpacktest.OpenBytes(t, YAFFS, p.out)
				if o.Size != int64(len(p.out)) {
					t.Errorf("%d of %d bytes", o.Size, len(p.out))
				}
				unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
				if order == binary.LittleEndian && c.spare >= 64 && !c.noCode && c.at < 31 {
					checkUnyaffs(t, p, want)
				}
			})
		}
	}
}

// checkUnyaffs lets another tool read what the packer makes.
func checkUnyaffs(t *testing.T, p *yaffsPacker, want unpacktest.Summary) {
	testtool.Need(t, "unyaffs")
	file := unpacktest.WriteFile(t, t.TempDir(), "img", p.out)
	out := filepath.Join(t.TempDir(), "out")
	os.Mkdir(out, 0o755)
	args := []string{"-c", fmt.Sprint(p.page / 1024), "-s", fmt.Sprint(p.spare), file, out}
	if p.at == 2 {
		args = append([]string{"-b"}, args...)
	}
	testtool.Run(t, "", "unyaffs", args...)
	unpacktest.SameSummary(t, want, unpacktest.SummaryOfFolder(t, out))
}

func TestYAFFSTrees(t *testing.T) {
	one := rapid.Custom(func(rt *rapid.T) *yaffsPacker {
		sizes := [][2]int{{512, 16}, {2048, 64}, {4096, 128}, {4096, 0}}
		s := rapid.SampledFrom(sizes).Draw(rt, "page")
		p := newYAFFSPacker(t, s[0], s[1], min(2, max(0, s[1]-28)), rapid.SampledFrom(bothOrders).Draw(rt, "order"))
		p.first = s[1] == 16
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "a file"), []byte("of the root"), 0o644)
		os.WriteFile(filepath.Join(dir, "and another"), nil, 0o644)
		unpacktest.RandomTree(rt, dir)
		p.folder(dir, 1)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, unpacktest.OpenBytes(t, YAFFS, p.out)))
		return p
	})
	for seed := range 20 {
		one.Example(seed)
	}
}

// TestYAFFSHistory: files that were overwritten, cut, made longer, renamed,
// deleted, as a live file system has them.
func TestYAFFSHistory(t *testing.T) {
	p := newYAFFSPacker(t, 2048, 64, 2, binary.LittleEndian)
	old, new := bytes.Repeat([]byte("old "), 2500), bytes.Repeat([]byte("new "), 2500)
	file := yaffsFacts{kind: 1, parent: 1, mode: 0o100644, mtime: 1e9}
	named := func(name string, size int) yaffsFacts { f := file; f.name, f.size = name, uint32(size); return f }
	p.header(257, named("changed", 0))
	p.data(257, 0, old)
	p.header(257, named("changed", len(old)))
	p.header(258, named("cut", 0))
	p.data(258, 0, old)
	p.header(259, named("deleted", 0))
	p.data(259, 0, old)
	p.header(259, named("deleted", len(old)))
	p.header(260, yaffsFacts{kind: 3, parent: 1, mode: 0o40755, name: "dir"})
	p.header(261, yaffsFacts{kind: 1, parent: 260, mode: 0o100600, name: "moved", size: 3})
	p.data(261, 0, []byte("abc"))
	// Another block, which stands in front of the first one.
	q := newYAFFSPacker(t, 2048, 64, 2, binary.LittleEndian)
	q.seq = 0x1001
	q.data(257, 2048, new[2048:4096])
	shrunk := named("cut", 5000)
	shrunk.shrink = 1
	q.header(258, shrunk)
	q.header(258, named("cut", 9000)) // made longer again: zeros
	gone := named("deleted", 0)
	gone.parent, gone.shrink = 4, 1
	q.header(259, gone)
	moved := named("moved", 3)
	q.header(261, moved)
	q.data(262, 0, []byte("no header"))
	for _, img := range [][]byte{append(bytes.Clone(p.out), q.out...)} {
		o, err := YAFFS.Open(unpacktest.Input(img))
		if err != nil {
			t.Fatal(err)
		}
		if o.Err == nil || !strings.Contains(o.Err.Error(), "in no folder") {
			t.Errorf("%v", o.Err)
		}
		got := map[string]string{}
		for _, e := range o.Entries {
			b, err := unpack.ReadAll(orEmpty(e.Data), 1<<20)
			if err != nil {
				t.Error(err)
			}
			got[fmt.Sprintf("%s %v", e.Path, e.Deleted)] = string(b)
		}
		changed := append(bytes.Clone(old[:2048]), new[2048:4096]...)
		cut := append(bytes.Clone(old[:5000]), make([]byte, 4000)...)
		for path, want := range map[string]string{
			"changed false": string(changed) + string(old[4096:]), "cut false": string(cut), "deleted true": string(old),
			"dir false": "", "moved false": "abc", "lost+found/obj262 false": "no header",
		} {
			if g, ok := got[path]; !ok || g != want {
				t.Errorf("%s: %v, %d bytes instead of %d", path, ok, len(g), len(want))
			}
		}
	}
}

func orEmpty(b unpack.Bytes) unpack.Bytes {
	if b == nil {
		return unpack.Slice(nil)
	}
	return b
}

// TestYAFFSCodes flips one bit in each page of content and in each tag: all are
// corrected.
func TestYAFFSCodes(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "file"), unpacktest.Noise(1, 100_000), 0o644)
	os.WriteFile(filepath.Join(dir, "second"), unpacktest.Noise(2, 3000), 0o644)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, g := range []geometry{{512, 16}, {2048, 64}} {
		p := newYAFFSPacker(t, int(g.page), int(g.spare), 2, binary.LittleEndian)
		p.first = g.spare == 16
		p.folder(dir, 1)
		rnd := rand.New(rand.NewSource(1))
		at := []int{8, 13}
		if g.page == 2048 {
			at = []int{40, 43, 46, 49, 52, 55, 58, 61}
		}
		for page := range len(p.out) / int(g.stride()) {
			raw := p.out[page*int(g.stride()):][:g.stride()]
			for i, place := range at {
				c := bitwiseCode(raw[i*256:(i+1)*256], false)
				copy(raw[int(g.page)+place:], c[:])
			}
			if page%8 != 0 {
				raw[rnd.Intn(int(g.page))] ^= 1 << rnd.Intn(8)
				raw[int(g.page)+2+rnd.Intn(2)] ^= 1 << rnd.Intn(8)
			}
		}
		o := unpacktest.OpenBytes(t, YAFFS, p.out)
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		raw := p.out[8*int(g.stride()):]
		raw[10] ^= 3
		o, err := YAFFS.Open(unpacktest.Input(p.out))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("file").Data, 1<<20); err == nil {
			t.Errorf("%v: two bits are not noticed", g)
		}
	}
}

// bitwiseCode is the code by its definition: the parity of every line and
// column, one by one.
func bitwiseCode(data []byte, kernel bool) (c [3]byte) {
	var parity [22]int // two for each bit of the address: 8 of the byte, 3 in it
	for i, b := range data {
		for bit := range 8 {
			if b>>bit&1 == 0 {
				continue
			}
			for k := range 11 {
				address := bit | i<<3
				parity[2*k+address>>k&1]++
			}
		}
	}
	for n, odd := range parity {
		if odd%2 == 0 {
			continue
		}
		if n < 6 {
			c[2] |= 4 << n
		} else {
			c[(n-6)/8] |= 1 << ((n - 6) % 8)
		}
	}
	for i := range c {
		c[i] = ^c[i]
	}
	c[2] |= 3
	if kernel {
		c[0], c[1] = c[1], c[0]
	}
	return c
}

func TestYAFFSDamage(t *testing.T) {
	dir := t.TempDir()
	fewFiles(t, filepath.Join(dir, "sub"))
	p := newYAFFSPacker(t, 2048, 64, 2, binary.BigEndian)
	p.folder(dir, 1)
	unpacktest.Damage(t, YAFFS, p.out, unpacktest.Damaged{Rounds: 150, Unchecked: true})
}

// TestYAFFSBrokenHeader: a folder's only page is broken, but its tags are not.
// The other files are listed, and the damage is said.
func TestYAFFSBrokenHeader(t *testing.T) {
	p := newYAFFSPacker(t, 2048, 64, 2, binary.LittleEndian)
	p.header(257, yaffsFacts{kind: 1, parent: 1, mode: 0o100644, name: "good", size: 4})
	p.data(257, 0, []byte("text"))
	at := len(p.out)
	p.header(258, yaffsFacts{kind: 3, parent: 1, mode: 0o40755, name: "broken"})
	p.header(259, yaffsFacts{kind: 1, parent: 258, mode: 0o100644, name: "inside"})
	p.out[at] = 99
	o, err := YAFFS.Open(unpacktest.Input(p.out))
	if err != nil || o.Err == nil {
		t.Fatalf("%v %+v", err, o)
	}
	tree := unpack.NewTree(o.Entries)
	if tree.Entry("good") == nil || tree.Entry("lost+found/inside") == nil {
		t.Errorf("%+v", o.Entries)
	}
}

// TestYAFFSFalse: noise, text and pages of other sorts are refused.
func TestYAFFSFalse(t *testing.T) {
	header := newYAFFSPacker(t, 2048, 64, 2, binary.LittleEndian)
	header.header(257, yaffsFacts{kind: 1, parent: 1, mode: 0o100644, name: "x"})
	for name, b := range map[string][]byte{
		"noise":                unpacktest.Noise(4, 2112*64),
		"erased":               bytes.Repeat([]byte{0xff}, 2112*64),
		"zeros":                make([]byte, 2112*64),
		"a header before text": append(bytes.Clone(header.out[:512]), bytes.Repeat([]byte("some text "), 20_000)...),
		"a header in a file":   append(bytes.Clone(header.out[:512]), unpacktest.Noise(5, 200_000)...),
	} {
		for _, r := range []*unpack.Reader{YAFFS, YAFFSRaw} {
			if _, err := r.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestYAFFSRaw: a partition that starts with erased blocks and content.
func TestYAFFSRaw(t *testing.T) {
	p := newYAFFSPacker(t, 2048, 64, 2, binary.LittleEndian)
	p.data(257, 0, bytes.Repeat([]byte("text"), 30_000))
	p.header(257, yaffsFacts{kind: 1, parent: 1, mode: 0o100644, name: "late", size: 120_000})
	img := append(bytes.Repeat([]byte{0xff}, 2112*3), p.out...)
	img = append(img, bytes.Repeat([]byte{0xff}, 2112*128-len(img))...)
	o := unpacktest.OpenBytes(t, YAFFSRaw, img)
	if e := unpack.NewTree(o.Entries).Entry("late"); e == nil || e.Size() != 120_000 {
		t.Errorf("%+v", o.Entries)
	}
}

func TestYAFFSCorpus(t *testing.T) {
	for _, name := range []string{"yaffs2_le.img", "yaffs2_be.img"} {
		o := unpacktest.Open(t, YAFFS, unpacktest.Corpus(t, "formats/"+name))
		e := unpack.NewTree(o.Entries).Entry("generic folder/test file 3_.txt")
		if e == nil || o.Size != 14784 || len(o.Entries) != 4 {
			t.Fatalf("%d bytes, %d entries", o.Size, len(o.Entries))
		}
		if b, err := unpack.ReadAll(e.Data, 100); err != nil || string(b) != "The third test file!" {
			t.Errorf("%q %v", b, err)
		}
	}
}

func FuzzYAFFS(f *testing.F) {
	dir := f.TempDir()
	os.MkdirAll(filepath.Join(dir, "a"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("hello "), 500), 0o644)
	os.Symlink("a", filepath.Join(dir, "l"))
	var seeds [][]byte
	for _, g := range []geometry{{512, 16}, {2048, 64}, {2048, 0}} {
		for _, order := range bothOrders {
			p := newYAFFSPacker(f, int(g.page), int(g.spare), 2, order)
			p.first, p.noCode = g.spare == 16, true
			p.folder(dir, 1)
			seeds = append(seeds, p.out)
		}
	}
	unpacktest.Fuzz(f, YAFFS, seeds...)
}
