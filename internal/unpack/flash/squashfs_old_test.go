package flash

import (
	"bytes"
	"crypto/sha256"
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
	"pgregory.net/rapid"
)

var bothOrders = []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}

// TestSquashfsOld packs the sample tree in every version and byte order; what
// unsquashfs makes of the image is the judge of the packer.
func TestSquashfsOld(t *testing.T) {
	testtool.Need(t, "unsquashfs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, order := range bothOrders {
		for version := 1; version <= 4; version++ {
			for _, marked := range []bool{false, true} {
				if marked && version == 4 {
					continue
				}
				t.Run(fmt.Sprintf("%d %v %v", version, order, marked), func(t *testing.T) {
					p := newSquashPacker(t, version, order)
					p.marked, p.noFrags = marked, marked && version == 2
					img := p.image(dir)
					o := unpacktest.OpenBytes(t, Squashfs, img)
					if o.Size != int64(len(img)) {
						t.Errorf("%d of %d bytes", o.Size, len(img))
					}
					unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
					if version < 4 || order == binary.LittleEndian {
						file := filepath.Join(t.TempDir(), "img")
						os.WriteFile(file, img, 0o600)
						out := filepath.Join(t.TempDir(), "out")
						testtool.Run(t, "", "unsquashfs", "-no-progress", "-quiet", "-processors", "1", "-d", out, file)
						unpacktest.SameSummary(t, want, unpacktest.SummaryOfFolder(t, out))
					}
				})
			}
		}
	}
}

// TestSquashfsVendors packs with the LZMA variants and magics of vendors.
func TestSquashfsVendors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	fewFiles(t, dir)
	want := unpacktest.SummaryOfFolder(t, dir)
	none := func([]byte) []byte { return nil }
	for i, c := range []struct {
		version int
		magic   string
		pack    func([]byte) []byte
	}{
		{2, "hsqs", lzmaPack(3, 0, 2, none)},
		{3, "sqsh", lzmaPack(3, 0, 2, none)},
		{3, "sqlz", lzmaPack(0, 0, 0, none)},
		{2, "hsqt", lzmaPack(1, 2, 0, none)},
		{3, "tqsh", lzmaPack(3, 0, 2, func(h []byte) []byte { return []byte{3, 0, 2, 64} })},
		{3, "shsq", lzmaPack(3, 0, 2, func(h []byte) []byte { return h })},
		{3, "qshs", lzmaPack(0, 2, 1, func(h []byte) []byte { return h[:5] })},
		{4, "hsqs", lzmaPack(3, 0, 2, func(h []byte) []byte { return h[:5] })},
		{4, "hsqs", lzmaPack(3, 0, 2, func(h []byte) []byte { return append(h[:5:5], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) })},
		{3, "shsq", func(b []byte) []byte { // whatever is smaller
			z, l := zlibPack(b), lzmaPack(3, 0, 2, func(h []byte) []byte { return h })(b)
			if len(b)%2 == 0 || len(z) < len(l) {
				return z
			}
			return l
		}},
	} {
		p := newSquashPacker(t, c.version, bothOrders[i%2])
		p.magic, p.pack = c.magic, c.pack
		o := unpacktest.OpenBytes(t, Squashfs, p.image(dir))
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	}
	// AVM's lengths of metadata blocks.
	p := newSquashPacker(t, 4, binary.BigEndian)
	p.lengths = binary.LittleEndian
	unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, unpacktest.OpenBytes(t, Squashfs, p.image(dir))))
}

// fewFiles fills a folder with a few files of all sizes.
func fewFiles(t testing.TB, dir string) {
	t.Helper()
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	for i := range 40 {
		content := bytes.Repeat([]byte(fmt.Sprintf("some words %d ", i*i)), 1+i*i*2)
		if err := os.WriteFile(filepath.Join(dir, []string{"a", "a/b", "."}[i%3], fmt.Sprintf("f%d", i)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink("a/b/f1", filepath.Join(dir, "link"))
}

// TestSquashfsOldTrees packs random trees.
func TestSquashfsOldTrees(t *testing.T) {
	one := rapid.Custom(func(rt *rapid.T) *squashPacker {
		p := newSquashPacker(t, rapid.IntRange(1, 4).Draw(rt, "version"), rapid.SampledFrom(bothOrders).Draw(rt, "order"))
		p.noFrags = rapid.Bool().Draw(rt, "no fragments")
		p.marked = p.version < 4 && rapid.Bool().Draw(rt, "marked")
		if p.version > 1 {
			p.block = 4096 << rapid.IntRange(0, 8).Draw(rt, "block")
		}
		if rapid.IntRange(0, 3).Draw(rt, "lzma") == 0 && p.version > 1 {
			p.pack = lzmaPack(rapid.IntRange(0, 3).Draw(rt, "lc"), rapid.IntRange(0, 1).Draw(rt, "lp"), rapid.IntRange(0, 2).Draw(rt, "pb"), func([]byte) []byte { return nil })
		}
		p.dir = t.TempDir()
		unpacktest.RandomTree(rt, p.dir)
		return p
	})
	for seed := range 25 {
		p := one.Example(seed)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, p.dir), unpacktest.SummaryOfObject(t, unpacktest.OpenBytes(t, Squashfs, p.image(p.dir))))
	}
}

// TestSquashfsOldDamage: content that zlib checks is never wrong in silence,
// and LZMA's end tells nearly everything. Owners, in version 3 and before, are
// plain.
func TestSquashfsOldDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	fewFiles(t, dir)
	want := unpacktest.SummaryOfFolder(t, dir)
	for name, pack := range map[string]func([]byte) []byte{"zlib": zlibPack, "lzma": lzmaPack(3, 0, 2, func([]byte) []byte { return nil })} {
		p := newSquashPacker(t, 3, binary.BigEndian)
		p.pack = pack
		img := p.image(dir)
		rnd, wrong := rand.New(rand.NewSource(3)), 0
		for range 100 {
			b := bytes.Clone(img)
			b[119+rnd.Intn(len(p.out)-119)] ^= 1 << rnd.Intn(8)
			o, err := Squashfs.Open(unpacktest.Input(b))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range o.Entries {
				if !e.Mode.IsRegular() || e.Data == nil {
					continue
				}
				got, err := unpack.ReadAll(e.Data, 1<<30)
				if err == nil && !strings.HasSuffix(want[e.Path], fmt.Sprintf("%d %x", len(got), sha256.Sum256(got))) {
					wrong++
				}
			}
		}
		t.Logf("%d wrong in silence", wrong)
		if name == "zlib" && wrong > 0 || wrong > 5 {
			t.Errorf("%d files are wrong in silence", wrong)
		}
	}
}
