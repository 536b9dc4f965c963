package volume

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// makeISO packs a folder with genisoimage or with xorriso in its place.
func makeISO(t testing.TB, dir, command string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img.iso")
	args := append(strings.Fields(command), "-quiet", "-o", img, dir)
	testtool.Run(t, "", args[0], args[1:]...)
	return readFile(t, img)
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// without drops what a format or a packer leaves out.
func without(s unpacktest.Summary, drop func(path, line string) bool) unpacktest.Summary {
	for p, line := range s {
		if drop(p, line) {
			delete(s, p)
		}
	}
	return s
}

// sampleFor is the sample tree without what a packer can't store: genisoimage
// writes a wrong length into the second piece of a long symbolic link, and
// refuses names that are not UTF-8 for Joliet and UDF.
func sampleFor(t testing.TB, command string) string {
	dir := unpacktest.SampleTree(t)
	if strings.HasPrefix(command, "genisoimage") {
		os.Remove(filepath.Join(dir, "longlink"))
	}
	if strings.Contains(command, "-J") || strings.Contains(command, "-udf") {
		os.Remove(filepath.Join(dir, "odd/b\xfcro"))
		os.Remove(filepath.Join(dir, "odd/new\nline"))
	}
	return dir
}

// fewChecks bounds how often a property is tried: the packers are slow.
func fewChecks(t *testing.T, n int) {
	f := flag.Lookup("rapid.checks")
	old := f.Value.String()
	f.Value.Set(fmt.Sprint(n))
	t.Cleanup(func() { f.Value.Set(old) })
}

func TestISORockRidge(t *testing.T) {
	for _, command := range []string{
		"genisoimage -R", "genisoimage -R -J -joliet-long", "genisoimage -R -iso-level 4 -N", "genisoimage -R -l -D", "genisoimage -R -cache-inodes",
		"genisoimage -R -allow-lowercase -relaxed-filenames", "genisoimage -R -hfs -probe", "genisoimage -R -udf",
		"xorriso -as mkisofs -R", "xorriso -as mkisofs -R -J", "xorriso -as mkisofs -R -hfsplus", "xorriso -as mkisofs -R -iso-level 3 --hardlinks",
		"xorriso -as mkisofs -R -partition_offset 16", "xorriso -as mkisofs -R --old-exclude /nothing --scdbackup_tag /dev/null x", "xorriso -as mkisofs -R -apm-block-size 2048 -hfsplus -hfsplus-block-size 512 -disallow_dir_id_ext",
	} {
		t.Run(strings.ReplaceAll(command, " ", "_"), func(t *testing.T) {
			dir := sampleFor(t, command)
			img := makeISO(t, dir, command)
			o := unpacktest.OpenBytes(t, ISO9660, append(bytes.Clone(img), "something behind it"...))
			if !strings.HasPrefix(o.Format, "iso9660 rock ridge") {
				t.Errorf("%s %v", o.Format, o.Info)
			}
			if d := int64(len(img)) - o.Size; d < 0 || d > 150*isoSector {
				t.Errorf("size %d of %d", o.Size, len(img))
			}
			noDots := func(p, line string) bool { return p == "rr_moved" || strings.HasPrefix(p, "rr_moved/") }
			unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), without(unpacktest.SummaryOfObject(t, o), noDots))
		})
	}
}

// contentOnly keeps paths, sizes and digests.
func contentOnly(s unpacktest.Summary, rename func(string) string) unpacktest.Summary {
	out := unpacktest.Summary{}
	for p, line := range s {
		f := strings.Fields(line)
		out[rename(p)] = strings.Join(append([]string{line[:1]}, f[2:]...), " ")
	}
	return out
}

func TestISOWithoutRockRidge(t *testing.T) {
	dir := t.TempDir()
	rnd := []byte("content of a file, ")
	for i, name := range []string{"readme.txt", "noext", "dir/sub/file.c", "dir/b.bin", "empty.txt"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), bytes.Repeat(rnd, i*331), 0o644)
	}
	os.Truncate(filepath.Join(dir, "empty.txt"), 0)
	same := func(p string) string { return p }
	for command, rename := range map[string]func(string) string{
		"genisoimage":                        strings.ToUpper,
		"genisoimage -J":                     same,
		"genisoimage -iso-level 4":           same,
		"genisoimage -N -d":                  strings.ToUpper,
		"genisoimage -iso-level 1 -no-pad":   strings.ToUpper,
		"xorriso -as mkisofs --norock -J":    same,
		"xorriso -as mkisofs --norock":       strings.ToUpper,
		"xorriso -as mkisofs --norock -U":    same,
		"genisoimage -J -input-charset utf8": same,
	} {
		t.Run(strings.ReplaceAll(command, " ", "_"), func(t *testing.T) {
			o := unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, command))
			unpacktest.SameSummary(t, contentOnly(unpacktest.SummaryOfFolder(t, dir), rename), contentOnly(unpacktest.SummaryOfObject(t, o), same))
		})
	}
}

// TestISOHidden: what is only in one of the trees is shown too.
func TestISOHidden(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "seen.txt"), []byte("seen by all"), 0o644)
	os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("seen on Windows"), 0o644)
	os.WriteFile(filepath.Join(dir, "linux.txt"), []byte("seen on Linux"), 0o644)
	o := unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, "genisoimage -R -J -hide secret.txt -hide-joliet linux.txt"))
	s := unpacktest.SummaryOfObject(t, o)
	if len(s) != 4 || s["linux.txt"] == "" || s["seen.txt"] == "" || s["[joliet]/secret.txt"] == "" {
		t.Errorf("%v", s)
	}
}

func TestISOHardLinks(t *testing.T) {
	dir := sampleFor(t, "genisoimage")
	for _, command := range []string{"genisoimage -R -cache-inodes", "xorriso -as mkisofs -R --hardlinks"} {
		o := unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, command))
		tree := unpack.NewTree(o.Entries)
		a, b := tree.Entry("lib/random"), tree.Entry("lib/random.hard")
		if a.Inode == 0 || a.Inode != b.Inode || tree.Entry("one").Inode != 0 {
			t.Errorf("%s: %d %d %d", command, a.Inode, b.Inode, tree.Entry("one").Inode)
		}
	}
}

func TestISOZisofs(t *testing.T) {
	dir := sampleFor(t, "genisoimage")
	want := unpacktest.SummaryOfFolder(t, dir)
	packed := filepath.Join(t.TempDir(), "packed")
	testtool.Run(t, "", "mkzftree", dir, packed)
	moved := func(p, line string) bool { return strings.HasPrefix(p, "rr_moved") }
	check := func(name string, img []byte) {
		o := unpacktest.OpenBytes(t, ISO9660, img)
		got := without(unpacktest.SummaryOfObject(t, o), moved)
		if !bytes.Contains(img, []byte("ZF\x10\x01pz")) && !bytes.Contains(img, []byte("Z\x32\x10\x02PZ")) && !bytes.Contains(img, []byte("ZF\x10\x02PZ")) {
			t.Errorf("%s: nothing is compressed", name)
		}
		t.Run(name, func(t *testing.T) { unpacktest.SameSummary(t, want, got) })
	}
	check("mkzftree", makeISO(t, packed, "genisoimage -R -z"))
	for _, set := range []string{"block_size=32k", "block_size=128k:level=9", "version_2=on", "version_2=on:block_size_v2=1m", "version_2=on:susp_z2=on:block_size_v2=32k"} {
		img := filepath.Join(t.TempDir(), "z.iso")
		testtool.Run(t, "", "xorriso", "-zisofs", set, "-hardlinks", "off", "-outdev", img, "-map", dir, "/", "-find", "/", "-type", "f", "-exec", "set_filter", "--zisofs", "--", "-padding", "0")
		check(set, readFile(t, img))
	}
	// The files alone, and on a disc that says nothing of it.
	for _, name := range []string{"lib/half", "bin/text", "var/sparse"} {
		o := unpacktest.Open(t, Zisofs, filepath.Join(packed, name))
		got, err := unpack.ReadAll(o.Parts[0].Data, 1<<30)
		if plain := readFile(t, filepath.Join(dir, name)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bootTree has what a bootable disc needs.
func bootTree(t testing.TB) string {
	dir := t.TempDir()
	fat := make([]byte, 64<<10)
	copy(fat, "\xeb\x3c\x90mkfs.fat")
	binary.LittleEndian.PutUint16(fat[11:], 512)
	binary.LittleEndian.PutUint16(fat[19:], 128)
	copy(fat[510:], "\x55\xaa")
	copy(fat[60<<10:], "the EFI system partition")
	os.WriteFile(filepath.Join(dir, "efi.img"), fat, 0o644)
	os.WriteFile(filepath.Join(dir, "isolinux.bin"), bytes.Repeat([]byte("boot"), 5000), 0o644)
	os.WriteFile(filepath.Join(dir, "floppy.img"), make([]byte, 1440<<10), 0o644)
	return dir
}

func TestISOBoot(t *testing.T) {
	dir := bootTree(t)
	efi := readFile(t, filepath.Join(dir, "efi.img"))
	apart := filepath.Join(t.TempDir(), "apart.img")
	os.WriteFile(apart, efi, 0o644)
	mbr := filepath.Join(t.TempDir(), "mbr.bin")
	os.WriteFile(mbr, bytes.Repeat([]byte("\xfa\x90"), 216), 0o644)
	for _, c := range []struct{ command, parts string }{
		{"genisoimage -R -b isolinux.bin -no-emul-boot -boot-load-size 4 -c boot.cat", "boot-x86 20000"},
		{"genisoimage -R -b floppy.img -c boot.cat", "boot-x86 1474560"},
		{"xorriso -as mkisofs -R -b isolinux.bin -no-emul-boot -boot-load-size 4 -c boot.cat -eltorito-alt-boot -e efi.img -no-emul-boot", "boot-x86 20000, boot-efi 65536"},
		{"xorriso -as mkisofs -R -isohybrid-mbr " + mbr + " -b isolinux.bin -no-emul-boot -c boot.cat -eltorito-alt-boot -e efi.img -no-emul-boot -isohybrid-gpt-basdat", "boot-x86 20000, boot-efi 65536, boot-code"},
		{"xorriso -as mkisofs -R -isohybrid-mbr " + mbr + " -b isolinux.bin -no-emul-boot -c boot.cat -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -append_partition 2 0xef " + apart, "boot-x86 20000, boot-efi 65536, boot-code"},
		{"xorriso -as mkisofs -R -append_partition 3 0x83 " + apart, "partition-3 65536"},
		{"xorriso -as mkisofs -R -appended_part_as_gpt -append_partition 2 0xef " + apart, "gpt-2 65536"},
	} {
		t.Run(c.parts, func(t *testing.T) {
			o := unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, c.command))
			var got []string
			for _, p := range o.Parts {
				if p.Name == "system-area" {
					continue // what the packer leaves there
				}
				if p.Name == "boot-code" {
					got = append(got, p.Name)
					continue
				}
				got = append(got, fmt.Sprintf("%s %d", p.Name, p.Data.Size()))
				if b, _ := unpack.ReadAll(p.Data, 1<<30); len(b) == 65536 && !bytes.Equal(b, efi) {
					t.Errorf("%s is not the image", p.Name)
				}
			}
			if s := strings.Join(got, ", "); s != c.parts {
				t.Errorf("got  %s\nwant %s", s, c.parts)
			}
			if len(o.Gaps) > 0 {
				t.Errorf("%v", o.Gaps)
			}
		})
	}
}

// TestISOSessions: files of an earlier session that the newest lacks are
// deleted ones; whether the image was grown in place, or is the copy of a disc.
func TestISOSessions(t *testing.T) {
	dir := t.TempDir()
	img := filepath.Join(t.TempDir(), "s.iso")
	os.WriteFile(filepath.Join(dir, "keep"), bytes.Repeat([]byte("keep"), 1000), 0o644)
	os.WriteFile(filepath.Join(dir, "gone"), bytes.Repeat([]byte("gone"), 1000), 0o644)
	testtool.Run(t, "", "xorriso", "-outdev", img, "-map", dir, "/")
	os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o644)
	testtool.Run(t, "", "xorriso", "-dev", img, "-rm", "/gone", "--", "-map", filepath.Join(dir, "new"), "/new")
	grown := readFile(t, img)
	check := func(name string, img []byte) {
		o := unpacktest.OpenBytes(t, ISO9660, img)
		var kept, deleted []string
		for _, e := range o.Entries {
			if e.Mode.IsRegular() && e.Deleted {
				deleted = append(deleted, e.Path)
			} else if e.Mode.IsRegular() {
				kept = append(kept, e.Path)
			}
		}
		if s := fmt.Sprint(kept, len(deleted)); s != "[keep new] 1" || !strings.HasSuffix(deleted[0], "/gone") {
			t.Errorf("%s: %v and deleted %v, %v", name, kept, deleted, o.Info)
		}
	}
	check("grown", grown)
	// On a disc the descriptors of the first session are still those in sector 16:
	// the program keeps a copy of them in sector 48.
	disc := bytes.Clone(grown)
	copy(disc[16*isoSector:], grown[48*isoSector:52*isoSector])
	check("disc", disc)
}

// TestISORelocated: folders deeper than eight levels.
func TestISORelocated(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19")
	os.MkdirAll(deep, 0o750)
	os.WriteFile(filepath.Join(deep, "file"), []byte("deep down"), 0o640)
	os.WriteFile(filepath.Join(deep, "../../file"), []byte("not so deep"), 0o640)
	for _, command := range []string{"genisoimage -R", "xorriso -as mkisofs -R -r -D", "xorriso -as mkisofs -R -rr_reloc_dir / "} {
		o := unpacktest.OpenBytes(t, ISO9660, makeISO(t, dir, command))
		moved := func(p, line string) bool { return strings.HasPrefix(p, "rr_moved") }
		same := func(p string) string { return p }
		unpacktest.SameSummary(t, contentOnly(unpacktest.SummaryOfFolder(t, dir), same), contentOnly(without(unpacktest.SummaryOfObject(t, o), moved), same))
	}
}

// rawImage puts sectors into raw ones of mode 1 or 2.
func rawImage(img []byte, mode byte) []byte {
	var out []byte
	for len(img) > 0 {
		s := make([]byte, rawSector)
		copy(s, rawSync)
		s[15] = mode
		n := copy(s[16:16+isoSector], img)
		if mode == 2 {
			clear(s[16:])
			s[18], s[22] = 8, 8
			n = copy(s[24:24+isoSector], img)
			binary.LittleEndian.PutUint32(s[2072:], slowEDC(s[16:2072]))
		} else {
			binary.LittleEndian.PutUint32(s[2064:], slowEDC(s[:2064]))
		}
		out, img = append(out, s...), img[n:]
	}
	return out
}

// slowEDC is the code of ECMA-130 14.3 from its polynomial
// (x^16+x^15+x^2+1)(x^16+x^2+x+1), bit by bit.
func slowEDC(p []byte) (crc uint32) {
	for _, c := range p {
		crc ^= uint32(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xd8018001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

func TestISORawSectors(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	img := makeISO(t, dir, "xorriso -as mkisofs -R")
	for _, mode := range []byte{1, 2} {
		raw := rawImage(img, mode)
		o := unpacktest.OpenBytes(t, ISO9660, append(bytes.Clone(raw), make([]byte, 10*rawSector)...))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
		if o.Size != int64(len(raw)) {
			t.Errorf("size %d of %d", o.Size, len(raw))
		}
		// The two copies of a changed bit can't both be right.
		at := bytes.Index(raw, []byte("the quick brown")) + 500
		raw[at] ^= 1
		o, err := ISO9660.Open(unpacktest.Input(raw))
		if err != nil {
			t.Fatal(err)
		}
		bad := 0
		for _, line := range unpacktestErrors(o) {
			if strings.Contains(line, "wrong checksum") {
				bad++
			}
		}
		if bad != 1 {
			t.Errorf("mode %d: %d files with an error", mode, bad)
		}
	}
}

// unpacktestErrors are the errors of reading all files.
func unpacktestErrors(o *unpack.Object) (list []string) {
	for _, e := range o.Entries {
		if e.Err != nil {
			list = append(list, e.Err.Error())
		} else if e.Data != nil {
			if _, err := unpack.ReadAll(e.Data, 1<<30); err != nil {
				list = append(list, err.Error())
			}
		}
	}
	return list
}

// TestISOExtents: a file of several extents, which packers write only for more
// than 4 GiB, by hand: the second half's record is appended.
func TestISOExtents(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a"), bytes.Repeat([]byte("A"), isoSector), 0o644)
	os.WriteFile(filepath.Join(dir, "b"), bytes.Repeat([]byte("B"), 100), 0o644)
	img := makeISO(t, dir, "genisoimage")
	at := bytes.Index(img, []byte("\x04A.;1"))
	next := bytes.Index(img, []byte("\x04B.;1"))
	if at < 0 || next < at {
		t.Fatal("no records")
	}
	img[at-7] |= isoMore         // flags of A
	copy(img[next:], "\x04A.;1") // B is its second extent
	o := unpacktest.OpenBytes(t, ISO9660, img)
	b, err := unpack.ReadAll(unpack.NewTree(o.Entries).Entry("A").Data, 1<<20)
	if want := strings.Repeat("A", isoSector) + strings.Repeat("B", 100); err != nil || string(b) != want {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestISORandomTrees(t *testing.T) {
	testtool.Need(t, "genisoimage")
	fewChecks(t, 15)
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(t.TempDir(), "tree")
		os.MkdirAll(filepath.Join(dir, "never empty"), 0o755)
		unpacktest.RandomTree(rt, dir)
		img := makeISO(t, dir, rapid.SampledFrom([]string{"genisoimage -R -J", "xorriso -as mkisofs -R", "genisoimage -R -udf"}).Draw(rt, "packer"))
		o := unpacktest.OpenBytes(t, ISO9660, img)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), without(unpacktest.SummaryOfObject(t, o), func(p, line string) bool { return p == "rr_moved" }))
	})
}

func TestISODamage(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "sub/a"), bytes.Repeat([]byte("content"), 3000), 0o644)
	os.WriteFile(filepath.Join(dir, "b"), bytes.Repeat([]byte("other"), 3000), 0o644)
	unpacktest.Damage(t, ISO9660, makeISO(t, dir, "genisoimage -R -J"), unpacktest.Damaged{Unchecked: true})
}

// TestISOHostile: loops and chains without end come to an end.
func TestISOHostile(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "sub", strings.Repeat("n", 250)), []byte("x"), 0o644)
	img := makeISO(t, dir, "genisoimage -R")
	// The folder lists its parent.
	loop := bytes.Clone(img)
	at := bytes.Index(loop, []byte("\x03SUB"))
	copy(loop[at-31+1:], loop[156+16*isoSector+2:156+16*isoSector+18])
	if o, err := ISO9660.Open(unpacktest.Input(loop)); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("%v", err)
	}
	// A continuation continues itself.
	chain := bytes.Clone(img)
	at = bytes.LastIndex(chain, []byte("CE\x1c\x01"))
	le := binary.LittleEndian
	block, off := le.Uint32(chain[at+4:]), le.Uint32(chain[at+12:])
	copy(chain[block*isoSector+off:], chain[at:at+28])
	le.PutUint32(chain[at+20:], 28)
	copy(chain[block*isoSector+off:], chain[at:at+28])
	if o, err := ISO9660.Open(unpacktest.Input(chain)); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "for ever") {
		t.Errorf("%v", err)
	}
}

func TestISOCorpus(t *testing.T) {
	for _, name := range []string{"test.iso", "test_zisofs.iso"} {
		o := unpacktest.Open(t, ISO9660, unpacktest.Corpus(t, "formats/"+name))
		files := 0
		for _, e := range o.Entries {
			if e.Mode&fs.ModeType == 0 {
				files++
			}
		}
		t.Logf("%s: %s, %d files, %v", name, o.Format, files, o.Info)
		if files == 0 || len(unpacktestErrors(o)) > 0 {
			t.Errorf("%s: %d files, %v", name, files, unpacktestErrors(o))
		}
	}
}

func FuzzISO9660(f *testing.F) {
	dir := f.TempDir()
	os.MkdirAll(filepath.Join(dir, "sub/1/2/3/4/5/6/7/8/9"), 0o755)
	os.WriteFile(filepath.Join(dir, "sub/a"), bytes.Repeat([]byte("content"), 300), 0o644)
	os.Symlink("a", filepath.Join(dir, "link"))
	os.WriteFile(filepath.Join(dir, "b"), bytes.Repeat([]byte("other"), 1000), 0o644)
	packed := filepath.Join(f.TempDir(), "packed")
	testtool.Run(f, "", "mkzftree", dir, packed)
	trim := func(b []byte) []byte { return bytes.TrimRight(b, "\x00") }
	unpacktest.FuzzPatched(f, ISO9660, nil, trim(makeISO(f, packed, "genisoimage -R -J -z -no-pad -b b -no-emul-boot -c c")), trim(makeISO(f, dir, "genisoimage -no-pad")), rawImage(trim(makeISO(f, dir, "genisoimage -no-pad -R")), 1))
}

func FuzzZisofs(f *testing.F) {
	dir := f.TempDir()
	os.WriteFile(filepath.Join(dir, "a"), bytes.Repeat([]byte("content"), 10_000), 0o644)
	testtool.Run(f, dir, "mkzftree", dir, dir+".z")
	unpacktest.Fuzz(f, Zisofs, readFile(f, filepath.Join(dir+".z", "a")))
}
