package linuxfs

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"pgregory.net/rapid"
)

// blank makes an empty image of some mebibytes.
func blank(t testing.TB, mebi int) string {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(img, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(img, int64(mebi)<<20); err != nil {
		t.Fatal(err)
	}
	return img
}

// mkf2fs packs a folder; the options of sload.f2fs stand behind a semicolon.
func mkf2fs(t testing.TB, dir string, mebi int, args string) string {
	t.Helper()
	img := blank(t, mebi)
	mkfs, sload, _ := strings.Cut(args, ";")
	testtool.Run(t, "", "mkfs.f2fs", append(append([]string{"-q"}, strings.Fields(mkfs)...), img)...)
	cmd := exec.Command(testtool.Need(t, "sload.f2fs"), append(append([]string{"-P", "-f", dir}, strings.Fields(sload)...), img)...)
	// It mends what it has made itself, and ends with 1 then.
	if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "recover inline xattr size") {
		t.Fatalf("sload.f2fs: %v\n%.2000s", err, out)
	}
	return img
}

func summaryWithout(t testing.TB, o *unpack.Object, names ...string) unpacktest.Summary {
	s := unpacktest.SummaryOfObject(t, o)
	for _, n := range names {
		delete(s, n)
	}
	return s
}

func TestF2FSVariants(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, name := range []string{"var/disk", "var/null", "var/pipe"} {
		delete(want, name) // sload.f2fs leaves them out; see TestF2FSByHand
	}
	for _, args := range []string{
		"", "-l label", "-i", "-O extra_attr", "-O extra_attr,inode_checksum", "-O extra_attr,inode_crtime,flexible_inline_xattr",
		"-O extra_attr,inode_checksum,sb_checksum,lost_found,quota,project_quota", "-s 2 -z 2 -a 1",
		"-O encrypt -w 4096", "-O casefold -C utf8", "-O extra_attr,compression,verity",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mkf2fs(t, dir, 96, args)
			o := unpacktest.Open(t, F2FS, img)
			if info, _ := os.Stat(img); o.Size > info.Size() || o.Size < info.Size()-4<<20 {
				t.Errorf("size %d of %d", o.Size, info.Size())
			}
			if len(o.Gaps) != 0 || strings.Contains(args, "label") && o.Info["label"] != "label" {
				t.Errorf("%v, gaps %v", o.Info, o.Gaps)
			}
			unpacktest.SameSummary(t, want, summaryWithout(t, o, "lost+found"))
		})
	}
}

func TestF2FSCorpus(t *testing.T) {
	o := openPacked(t, F2FS, "formats/f2fs.img.xz")
	unpacktest.SummaryOfObject(t, o)
	if len(o.Entries) != 6 || len(o.Gaps) > 0 {
		t.Errorf("%d entries, gaps %v", len(o.Entries), o.Gaps)
	}
}

// openPacked opens an image of the corpus.
func openPacked(t testing.TB, r *unpack.Reader, name string) *unpack.Object {
	t.Helper()
	b, err := exec.Command(testtool.Need(t, "xz"), "-dc", unpacktest.Corpus(t, name)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return unpacktest.OpenBytes(t, r, b)
}

func TestF2FSRandom(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks > 8 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		args := rapid.SampledFrom([]string{"", "-O extra_attr,inode_checksum", "-i"}).Draw(rt, "options")
		o := unpacktest.Open(t, F2FS, mkf2fs(t, dir, 96, args))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), summaryWithout(t, o))
	})
}

// f2fsNodes finds the inodes of an image by the names that they keep, without
// the node table.
func f2fsNodes(b []byte) map[string][]byte {
	nodes := map[string][]byte{}
	for at := 4096 * int(le.Uint32(b[1024+92:])); at+4096 <= len(b); at += 4096 {
		p := b[at : at+4096]
		if nid := le.Uint32(p[4072:]); nid > 3 && nid == le.Uint32(p[4076:]) && le.Uint32(p[88:]) < 255 {
			nodes[string(p[92:][:le.Uint32(p[88:])])] = p
		}
	}
	return nodes
}

func smallTree(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "small")
	rnd := rand.New(rand.NewSource(3))
	for name, size := range map[string]int{"a/inline": 100, "a/b/packed": 1100 * 4096, "a/two": 5000, "device": 0, "pipe": 0, "secret": 300} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		b := make([]byte, size)
		for i := range b {
			b[i] = "ab"[rnd.Intn(2)]
		}
		os.WriteFile(filepath.Join(dir, name), b, 0o644)
	}
	os.Symlink("a/two", filepath.Join(dir, "link"))
	return dir
}

// TestF2FSByHand has what sload.f2fs does not make: devices, attributes in and
// behind the inode, encrypted files.
func TestF2FSByHand(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	b, err := os.ReadFile(mkf2fs(t, smallTree(t), 96, ""))
	if err != nil {
		t.Fatal(err)
	}
	nodes := f2fsNodes(b)
	le.PutUint16(nodes["device"], 0o020600)
	clear(nodes["device"][360:372])
	le.PutUint32(nodes["device"][364:], 300<<8|1<<20|7)
	le.PutUint16(nodes["pipe"], 0o010600)
	nodes["secret"][2] |= 4
	// Attributes in the last 200 bytes of the pointers.
	two := nodes["two"]
	two[3] |= 1
	area := two[4052-200 : 4052]
	copy(area, "\x11\x20\xf5\xf2\x01\x00\x00\x00")
	copy(area[24:], "\x06\x0a\x04\x00capabilityCAP!\x00\x00"+"\x01\x01\x02\x00xyz")
	o := unpacktest.OpenBytes(t, F2FS, b)
	tree := unpack.NewTree(o.Entries)
	if e := tree.Entry("device"); e.Mode&os.ModeCharDevice == 0 || e.Major != 300 || e.Minor != 263 {
		t.Errorf("device %v %d,%d", e.Mode, e.Major, e.Minor)
	}
	if e := tree.Entry("pipe"); e.Mode&os.ModeNamedPipe == 0 {
		t.Errorf("pipe %v", e.Mode)
	}
	if e := tree.Entry("secret"); !errors.Is(e.Err, unpack.ErrEncrypted) || e.Data != nil {
		t.Errorf("secret: %v", e.Err)
	}
	if x := tree.Entry("a/two").Xattrs; len(x) != 2 || x["security.capability"] != "CAP!" || x["user.x"] != "yz" {
		t.Errorf("attributes %q", x)
	}
}

// f2fsPack rewrites a file of whole blocks in place as one of compressed
// clusters: every third is left as it is, every fourth is a hole. It returns
// what the file holds then.
func f2fsPack(t *testing.T, b []byte, clusterLog int, method byte, pack func([]byte) []byte) []byte {
	ino := f2fsNodes(b)["packed"]
	var direct [2][]byte
	for at := 4096 * int(le.Uint32(b[1024+92:])); at+4096 <= len(b); at += 4096 {
		p := b[at : at+4096]
		for k, nid := range []uint32{le.Uint32(ino[4052:]), le.Uint32(ino[4056:])} {
			if nid != 0 && le.Uint32(p[4072:]) == nid && le.Uint32(p[4076:]) == le.Uint32(ino[4072:]) {
				direct[k] = p
			}
		}
	}
	extra := int(le.Uint16(ino[360:]))
	if extra != 36 {
		t.Fatalf("%d extra bytes", extra)
	}
	own := ino[360+extra : 4052-200]
	old := append(bytes.Clone(own), direct[0][:4072]...)
	le.PutUint32(ino[80:], le.Uint32(ino[80:])|4)
	ino[392], ino[393], ino[394] = method, byte(clusterLog), 1
	n := 1 << clusterLog
	table := own[:len(own)/4&^(n-1)*4]
	clear(own)
	clear(direct[0][:4072])
	var want []byte
	for i := 0; i < 1100/n; i++ {
		if len(table) == 0 {
			table = direct[0][:4072/4&^(n-1)*4]
		}
		pointers := table[:4*n]
		table = table[4*n:]
		blocks := old[i*n*4:][:4*n]
		if i%4 == 3 {
			want = append(want, make([]byte, n*4096)...)
			continue
		}
		var content []byte
		for k := range n {
			content = append(content, b[4096*int(le.Uint32(blocks[4*k:])):][:4096]...)
		}
		want = append(want, content...)
		if copy(pointers, blocks); i%3 == 2 {
			continue
		}
		body := pack(content)
		head := le.AppendUint32(nil, uint32(len(body)))
		head = le.AppendUint32(head, ^crc32.Update(^uint32(0xf2f52010), crc32.IEEETable, body))
		body = append(append(head, make([]byte, 16)...), body...)
		le.PutUint32(pointers, 0xfffffffe)
		used := 1
		for ; len(body) > 0; used++ {
			addr := le.Uint32(blocks[4*(used-1):])
			le.PutUint32(pointers[4*used:], addr)
			clear(b[4096*int(addr):][:4096])
			body = body[copy(b[4096*int(addr):][:4096], body):]
		}
		clear(pointers[4*used:])
	}
	le.PutUint64(ino[16:], uint64(len(want)))
	return want
}

func TestF2FSCompressed(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	image, err := os.ReadFile(mkf2fs(t, smallTree(t), 96, "-O extra_attr,compression"))
	if err != nil {
		t.Fatal(err)
	}
	zst, _ := zstd.NewWriter(nil)
	lz := func(p []byte) []byte {
		out := make([]byte, lz4.CompressBlockBound(len(p)))
		n, _ := lz4.CompressBlock(p, out, nil)
		return out[:n]
	}
	for _, c := range []struct {
		log    int
		method byte
		pack   func([]byte) []byte
	}{{2, 0, lzopPack(t)}, {3, 1, lz}, {5, 2, func(p []byte) []byte { return zst.EncodeAll(p, nil) }}} {
		b := bytes.Clone(image)
		want := f2fsPack(t, b, c.log, c.method, c.pack)
		open := func() unpack.Bytes {
			return unpack.NewTree(unpacktest.OpenBytes(t, F2FS, b).Entries).Entry("a/b/packed").Data
		}
		got, err := unpack.ReadAll(open(), 1<<30)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("method %d, clusters of 1<<%d blocks: %d of %d bytes, %v", c.method, c.log, len(got), len(want), err)
		}
		p := make([]byte, 9000)
		if _, err := open().ReadAt(p, 77_777); err != nil || !bytes.Equal(p, want[77_777:86_777]) {
			t.Errorf("a piece in the middle: %v", err)
		}
		b[4096*int(le.Uint32(f2fsNodes(b)["packed"][360+36+4:]))+100] ^= 1
		if _, err := open().ReadAt(p, 0); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("a changed cluster: %v", err)
		}
	}
}

// lzopPack packs with lzop: the block is the only one of its file.
func lzopPack(t testing.TB) func([]byte) []byte {
	testtool.Need(t, "lzop")
	return func(p []byte) []byte {
		cmd := exec.Command("lzop", "-c", "-1", "--no-checksum")
		cmd.Stdin = bytes.NewReader(p)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		// The block's sizes are in front of it, four zeros behind.
		mark := bytes.LastIndex(out[:100], be.AppendUint32(nil, uint32(len(p))))
		return out[mark+8:][:be.Uint32(out[mark+4:])]
	}
}

// TestF2FSPairs damages one of what there is twice.
func TestF2FSPairs(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	dir := smallTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	image, err := os.ReadFile(mkf2fs(t, dir, 96, ""))
	if err != nil {
		t.Fatal(err)
	}
	b := image
	for name, at := range map[string]int{"first superblock": 1024 + 72, "second superblock": 5120, "first checkpoint": 512 * 4096, "second checkpoint": 1024 * 4096} {
		b[at] ^= 0x55
		o := unpacktest.OpenBytes(t, F2FS, b)
		unpacktest.SameSummary(t, want, summaryWithout(t, o))
		if name == "first superblock" && !strings.Contains(o.Info["superblock"], "copy") {
			t.Errorf("%s: %v", name, o.Info)
		}
		b[at] ^= 0x55
	}
	for _, at := range []int{1024, 1024 + 16, 1024 + 20, 1024 + 84} {
		b[at] ^= 0x81
		b[at+4096] ^= 0x81
		if _, err := F2FS.Open(unpacktest.Input(b)); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("byte %d: %v", at, err)
		}
		b[at] ^= 0x81
		b[at+4096] ^= 0x81
	}
	b[512*4096] ^= 1
	b[1024*4096] ^= 1
	if o, err := F2FS.Open(unpacktest.Input(b)); err != nil || o.Err == nil || len(o.Gaps) == 0 {
		t.Errorf("no checkpoint: %v, %v", o, err)
	}
	in := unpacktest.Input(b)
	in.Whole = false
	if _, err := F2FS.Open(in); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("a candidate without a checkpoint: %v", err)
	}
	b[512*4096] ^= 1
	// A folder in itself: another inode for a name, in a block of 214 names
	// behind a bitmap of 27 bytes and 3 unused ones.
	for at := 4096; at < len(b); at += 4096 {
		if slots := b[at+30+214*11 : at+4093]; string(slots[16:24]) == "packed\x00\x00" {
			copy(b[at+30+2*11+4:], f2fsNodes(b)["b"][4072:4076])
		}
	}
	if o, err := F2FS.Open(unpacktest.Input(b)); err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "loop") {
		t.Errorf("a loop: %v, %v", o, err)
	}
}

// TestF2FSRollForward has a node behind the checkpoint's log of warm nodes.
func TestF2FSRollForward(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	b, err := os.ReadFile(mkf2fs(t, smallTree(t), 96, ""))
	if err != nil {
		t.Fatal(err)
	}
	o := unpacktest.OpenBytes(t, F2FS, b)
	if len(o.Gaps) != 0 {
		t.Error(o.Gaps)
	}
	for _, cp := range []int{512 * 4096, 1024 * 4096} {
		p := b[cp : cp+4096]
		last := b[cp+4096*(int(le.Uint32(p[136:]))-1):][:4096]
		at := 4096 * (int(le.Uint32(b[1024+92:])) + int(le.Uint32(p[40:]))*512 + int(le.Uint16(p[70:])))
		copy(b[at+4096-12:], p[:8])
		for _, p := range [][]byte{p, last} {
			p[132] &^= 1
			sum := int(le.Uint32(p[164:]))
			le.PutUint32(p[sum:], ^crc32.Update(^uint32(0xf2f52010), crc32.IEEETable, p[:sum]))
		}
		// Without the mark of unmounting the summaries of nodes are left out.
		if p[132]&4 == 0 {
			from := cp + 4096*(int(le.Uint32(p[136:]))-7)
			copy(b[from+3*4096:], b[from:from+4096])
		}
	}
	o = unpacktest.OpenBytes(t, F2FS, b)
	if len(o.Gaps) != 1 || !strings.Contains(o.Gaps[0].Note, "synced") {
		t.Errorf("gaps %v", o.Gaps)
	}
}

func TestF2FSDamage(t *testing.T) {
	testtool.Need(t, "mkfs.f2fs")
	dir := smallTree(t)
	os.Truncate(filepath.Join(dir, "a/b/packed"), 20_000)
	b, err := os.ReadFile(mkf2fs(t, dir, 96, "-O extra_attr,inode_checksum,sb_checksum"))
	if err != nil {
		t.Fatal(err)
	}
	damage(t, F2FS, b, unpacktest.Damaged{Rounds: 300, Unchecked: true})
}

func FuzzF2FS(f *testing.F) {
	dir := f.TempDir()
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	os.WriteFile(filepath.Join(dir, "a/f"), bytes.Repeat([]byte("hello "), 1500), 0o644)
	os.WriteFile(filepath.Join(dir, "a/b/g"), []byte("inline"), 0o644)
	os.Symlink("a", filepath.Join(dir, "l"))
	var seeds [][]byte
	if _, err := os.Stat("/usr/sbin/mkfs.f2fs"); err == nil {
		for _, args := range []string{"", "-O extra_attr,compression"} {
			b, _ := os.ReadFile(mkf2fs(f, dir, 96, args))
			seeds = append(seeds, b)
		}
	}
	unpacktest.FuzzPatched(f, F2FS, nil, seeds...)
}
