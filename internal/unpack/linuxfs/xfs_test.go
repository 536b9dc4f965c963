package linuxfs

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// protofile describes a folder to mkfs.xfs. Names with spaces can't stand in
// it.
func protofile(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("boot\n0 0\n")
	var add func(p, name string)
	add = func(p, name string) {
		fi, err := os.Lstat(p)
		if err != nil {
			t.Fatal(err)
		}
		st := fi.Sys().(*syscall.Stat_t)
		kind := map[fs.FileMode]string{0: "-", fs.ModeDir: "d", fs.ModeSymlink: "l", fs.ModeNamedPipe: "p", fs.ModeDevice: "b", fs.ModeDevice | fs.ModeCharDevice: "c"}[fi.Mode().Type()]
		flag := func(m fs.FileMode, c string) string {
			if fi.Mode()&m != 0 {
				return c
			}
			return "-"
		}
		fmt.Fprintf(&b, "%s %s%s%s%03o %d %d ", name, kind, flag(fs.ModeSetuid, "u"), flag(fs.ModeSetgid, "g"), fi.Mode().Perm(), st.Uid, st.Gid)
		switch kind {
		case "-":
			b.WriteString(p + "\n")
		case "l":
			target, _ := os.Readlink(p)
			b.WriteString(target + "\n")
		case "b", "c":
			fmt.Fprintf(&b, "%d %d\n", st.Rdev>>8&0xfff, st.Rdev&0xff)
		case "d":
			b.WriteString("\n")
			list, _ := os.ReadDir(p)
			for _, e := range list {
				if !strings.ContainsAny(e.Name(), " \n:") {
					add(filepath.Join(p, e.Name()), e.Name())
				}
			}
			b.WriteString("$\n")
		default:
			b.WriteString("\n")
		}
	}
	add(dir, "")
	file := filepath.Join(t.TempDir(), "proto")
	if err := os.WriteFile(file, []byte(b.String()+"$\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// mkxfs packs a folder. The environment is that of the makers' own tests, which
// may use devices of less than 300 MiB.
func mkxfs(t testing.TB, dir string, mebi int, args string) string {
	t.Helper()
	img := blank(t, mebi)
	all := append(strings.Fields(args), "-q", "-f", "-p", protofile(t, dir), img)
	cmd := exec.Command(testtool.Need(t, "mkfs.xfs"), all...)
	cmd.Env = append(os.Environ(), "TEST_DIR=x", "TEST_DEV=x", "QA_CHECK_FS=x")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkfs.xfs %v: %v\n%.2000s", all, err, out)
	}
	return img
}

func wantXFS(t testing.TB, dir string) unpacktest.Summary {
	want := unpacktest.SummaryOfFolder(t, dir)
	for p := range want {
		if strings.ContainsAny(p, " \n:") {
			delete(want, p)
		}
	}
	return want
}

func TestXFSVariants(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	dir := unpacktest.SampleTree(t)
	want := wantXFS(t, dir)
	for _, args := range []string{
		"", "-m crc=0", "-m crc=0 -n ftype=0", "-m crc=0 -i size=256 -b size=512", "-b size=1024", "-b size=16384", "-i size=2048 -n size=8192",
		"-b size=1024 -n size=32768", "-m bigtime=1,inobtcount=1,reflink=1,rmapbt=1", "-m bigtime=0,reflink=0 -i sparse=0", "-n version=ci -m crc=0",
		"-d agcount=3 -L label", "-s size=4096", "-i nrext64=1",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := mkxfs(t, dir, 128, args)
			o := unpacktest.Open(t, XFS, img)
			if info, _ := os.Stat(img); o.Size != info.Size() {
				t.Errorf("size %d of %d", o.Size, info.Size())
			}
			if len(o.Gaps) != 0 || strings.Contains(args, "label") != (o.Info["label"] == "label") {
				t.Errorf("%v, gaps %v", o.Info, o.Gaps)
			}
			unpacktest.SameSummary(t, want, summaryWithout(t, o))
		})
	}
}

func TestXFSCorpus(t *testing.T) {
	o := openPacked(t, XFS, "formats/xfs.img.xz")
	unpacktest.SummaryOfObject(t, o)
	if len(o.Entries) != 6 || len(o.Gaps) > 0 {
		t.Errorf("%d entries, gaps %v", len(o.Entries), o.Gaps)
	}
}

func TestXFSRandom(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	checks := 0
	rapid.Check(t, func(rt *rapid.T) {
		if checks++; checks > 12 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		args := fmt.Sprintf("-m crc=%d -b size=%d -d agcount=%d", rapid.IntRange(0, 1).Draw(rt, "crc"), 1024<<rapid.IntRange(0, 2).Draw(rt, "block"), rapid.IntRange(1, 4).Draw(rt, "groups"))
		o := unpacktest.Open(t, XFS, mkxfs(t, dir, 64, args))
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), summaryWithout(t, o))
	})
}

// TestXFSLarge has folders with an index of several blocks, and links whose
// targets need blocks.
func TestXFSLarge(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "many"), 0o755)
	for i := range 3000 {
		os.WriteFile(filepath.Join(dir, "many", fmt.Sprintf("%s-%d", strings.Repeat("n", i%90), i)), nil, 0o644)
	}
	for _, n := range []int{59, 60, 155, 156, 336, 337, 900, 968} {
		os.Symlink(strings.Repeat("t", n), filepath.Join(dir, fmt.Sprint("link", n)))
	}
	want := wantXFS(t, dir)
	for _, args := range []string{"-m crc=0 -b size=512 -i size=256", "-b size=1024", "-m crc=0", "-n size=16384"} {
		b, err := os.ReadFile(mkxfs(t, dir, 128, args))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(args, "crc=0") {
			xfsMendLinks(b)
		}
		unpacktest.SameSummary(t, want, summaryWithout(t, unpacktest.OpenBytes(t, XFS, b)))
	}
}

// xfsMendLinks gives targets in blocks the headers of version 5, which mkfs.xfs
// of this version forgets, and so no kernel would read them.
func xfsMendLinks(b []byte) {
	size, groupLog := int(be.Uint32(b[4:])), b[124]
	for at := 0; at < len(b); at += 512 {
		ino := b[at:]
		if string(ino[:2]) != "IN" || be.Uint16(ino[2:])>>12 != 10 || ino[5] != 2 {
			continue
		}
		record := be.Uint64(ino[184:]) >> 21
		block := b[(int(record>>groupLog)*int(be.Uint32(b[84:]))+int(record&(1<<groupLog-1)))*size:]
		target := bytes.Repeat([]byte("t"), int(be.Uint64(ino[56:])))
		if len(target) > size-56 {
			continue
		}
		block = block[:size]
		clear(block)
		copy(block, "XSLM")
		be.PutUint32(block[8:], uint32(len(target)))
		be.PutUint64(block[32:], be.Uint64(ino[152:]))
		copy(block[56:], target)
		xfsSum(block, 12)
	}
}

// TestXFSAttributes has attributes in the inode, in a leaf, in blocks of their
// own, and in so many leaves that they need nodes.
func TestXFSAttributes(t *testing.T) {
	testtool.Need(t, "xfs_db")
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	for _, name := range []string{"small", "leaf", "many"} {
		os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644)
	}
	for _, args := range []string{"", "-m crc=0", "-b size=1024", "-m crc=0 -b size=1024 -i size=256"} {
		img := mkxfs(t, dir, 64, args)
		cmd := []string{"-x"}
		set := func(options string, n int, name string) {
			cmd = append(cmd, "-c", fmt.Sprintf("attr_set %s -v %d %s", options, n, name))
		}
		cmd = append(cmd, "-c", "path /small")
		set("-s", 4, "capability")
		set("-u", 9, "x")
		cmd = append(cmd, "-c", "path /leaf")
		set("-u", 300, "a")
		set("-r", 700, "b")
		set("-s", 20_000, "big")
		cmd = append(cmd, "-c", "path /many")
		for i := range 100 {
			set("-u", i*5, fmt.Sprint("name", i))
		}
		testtool.Run(t, "", "xfs_db", append(cmd, img)...)
		tree := unpack.NewTree(unpacktest.Open(t, XFS, img).Entries)
		sizes := func(p string) string {
			n, bad, x := 0, 0, tree.Entry(p).Xattrs
			for _, v := range x {
				if n += len(v); strings.Trim(v, "v") != "" {
					bad++
				}
			}
			return fmt.Sprint(len(x), " with ", n, " bytes, wrong ", bad)
		}
		if got := sizes("small"); got != "2 with 13 bytes, wrong 0" || len(tree.Entry("small").Xattrs["security.capability"]) != 4 {
			t.Errorf("%s: %s", args, got)
		}
		x := tree.Entry("leaf").Xattrs
		if got := sizes("leaf"); got != "3 with 21000 bytes, wrong 0" || len(x["security.big"]) != 20_000 || len(x["trusted.b"]) != 700 {
			t.Errorf("%s: %s", args, got)
		}
		if got := sizes("many"); got != "99 with 24750 bytes, wrong 0" {
			t.Errorf("%s: %s", args, got)
		}
	}
}

func xfsSum(p []byte, at int) {
	clear(p[at : at+4])
	le.PutUint32(p[at:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
}

// xfsInodeOf finds an inode by the size of its file.
func xfsInodeOf(b []byte, size uint64) []byte {
	for at := 0; at < len(b); at += 512 {
		if string(b[at:at+2]) == "IN" && be.Uint64(b[at+56:]) == size && be.Uint16(b[at+2:])>>12 == 8 {
			return b[at : at+512]
		}
	}
	return nil
}

// TestXFSTree gives a file a tree of extents by hand: mkfs.xfs makes only files
// in one piece.
func TestXFSTree(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	content := make([]byte, 600*1024)
	rand.New(rand.NewSource(5)).Read(content)
	os.WriteFile(filepath.Join(dir, "file"), content, 0o644)
	os.WriteFile(filepath.Join(dir, "room"), make([]byte, 20*1024), 0o644)
	for _, crc := range []int{0, 1} {
		b, err := os.ReadFile(mkxfs(t, dir, 64, fmt.Sprintf("-m crc=%d -b size=1024 -i size=512 -d agcount=1", crc)))
		if err != nil {
			t.Fatal(err)
		}
		ino, room := xfsInodeOf(b, 600*1024), xfsInodeOf(b, 20*1024)
		core, head, magic := 100, 24, "BMAP"
		if crc == 1 {
			core, head, magic = 176, 72, "BMA3"
		}
		first := be.Uint64(ino[core+8:]) >> 21
		free := be.Uint64(room[core+8:]) >> 21
		number := (uint64(bytes.Index(b, ino))) / 512
		var records [][2]uint64
		var want []byte
		perm := rand.New(rand.NewSource(6)).Perm(600)
		for i, from := range perm {
			switch {
			case i%7 == 3: // a hole
				want = append(want, make([]byte, 1024)...)
				continue
			case i%7 == 5: // never written
				want = append(want, make([]byte, 1024)...)
				records = append(records, [2]uint64{1<<63 | uint64(i)<<9, (first+uint64(from))<<21 | 1})
				continue
			}
			want = append(want, content[from*1024:][:1024]...)
			records = append(records, [2]uint64{uint64(i) << 9, (first+uint64(from))<<21 | 1})
		}
		block := func(level int, n int) (number uint64, p []byte) {
			number, p = free, b[free*1024:][:1024]
			free++
			clear(p)
			copy(p, magic)
			be.PutUint16(p[4:], uint16(level))
			be.PutUint16(p[6:], uint16(n))
			if crc == 1 {
				be.PutUint64(p[56:], be.Uint64(ino[152:]))
			}
			return number, p
		}
		type child struct{ key, at uint64 }
		var level []child
		for len(records) > 0 {
			n := min(50, len(records))
			at, p := block(0, n)
			for k, r := range records[:n] {
				be.PutUint64(p[head+16*k:], r[0])
				be.PutUint64(p[head+16*k+8:], r[1])
			}
			xfsSumIf(crc, p, 64)
			level = append(level, child{records[0][0] << 1 >> 10, at})
			records = records[n:]
		}
		var top []child
		most := (1024 - head) / 16
		for len(level) > 0 {
			n := min(7, len(level))
			at, p := block(1, n)
			for k, c := range level[:n] {
				be.PutUint64(p[head+8*k:], c.key)
				be.PutUint64(p[head+8*most+8*k:], c.at)
			}
			xfsSumIf(crc, p, 64)
			top = append(top, child{level[0].key, at})
			level = level[n:]
		}
		ino[5] = 3
		fork := ino[core:]
		if ino[82] > 0 {
			fork = fork[:int(ino[82])*8]
		}
		clear(fork)
		be.PutUint16(fork, 2)
		be.PutUint16(fork[2:], uint16(len(top)))
		most = (len(fork) - 4) / 16
		for k, c := range top {
			be.PutUint64(fork[4+8*k:], c.key)
			be.PutUint64(fork[4+8*most+8*k:], c.at)
		}
		xfsSumIf(crc, ino, 100)
		_ = number
		o := unpacktest.OpenBytes(t, XFS, b)
		e := unpack.NewTree(o.Entries).Entry("file")
		got, err := unpack.ReadAll(e.Data, 1<<30)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("crc=%d: %d of %d bytes, %v", crc, len(got), len(want), err)
		}
		p := make([]byte, 5000)
		if _, err := e.Data.ReadAt(p, 333_333); err != nil || !bytes.Equal(p, want[333_333:338_333]) {
			t.Errorf("a piece in the middle: %v", err)
		}
		if crc == 1 {
			b[top[0].at*1024+200] ^= 1
			e := unpack.NewTree(unpacktest.OpenBytes(t, XFS, b).Entries).Entry("file")
			if _, err := unpack.ReadAll(e.Data, 1<<30); err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Errorf("a changed tree: %v", err)
			}
		}
	}
}

func xfsSumIf(crc int, p []byte, at int) {
	if crc == 1 {
		xfsSum(p, at)
	}
}

// TestXFSState has a log that was not emptied, a damaged superblock, files on
// the realtime device, and a loop.
func TestXFSState(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	dir := smallTree(t)
	want := wantXFS(t, dir)
	image, err := os.ReadFile(mkxfs(t, dir, 64, "-d agcount=4"))
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(image)
	b[84]++
	o := unpacktest.OpenBytes(t, XFS, b)
	if o.Size != int64(len(b)) || !strings.Contains(o.Info["superblock"], "0x1000000") {
		t.Errorf("a damaged superblock: size %d, %v", o.Size, o.Info)
	}
	unpacktest.SameSummary(t, want, summaryWithout(t, o))

	in := unpacktest.Input(image[16<<20:])
	if _, err := XFS.Open(in); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("a copy of the superblock is taken for a file system: %v", err)
	}

	b = bytes.Clone(image)
	log := bytes.Index(b, []byte("\xfe\xed\xba\xbe"))
	b[log+512+9] = 0 // no longer the flag of unmounting
	if o := unpacktest.OpenBytes(t, XFS, b); len(o.Gaps) != 1 || o.Info["log"] != "needs recovery" {
		t.Errorf("a log: %v, %v", o.Gaps, o.Info)
	}

	b = bytes.Clone(image)
	ino := xfsInodeOf(b, 5000)
	ino[91] |= 1
	xfsSum(ino, 100)
	o, err = XFS.Open(unpacktest.Input(b))
	if err != nil {
		t.Fatal(err)
	}
	if e := unpack.NewTree(o.Entries).Entry("a/two"); !errors.Is(e.Err, unpack.ErrUnsupported) {
		t.Errorf("a realtime file: %v", e.Err)
	}

	for _, n := range []int{3000, 70_000, len(image) / 2, len(image) - 1} {
		if o, err := XFS.Open(unpacktest.Input(image[:n])); err != nil || o.Err == nil || o.Size != int64(n) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
}

// xfsMend makes the checksums of a block of 4096 bytes right, for the fuzzer.
func xfsMend(number int64, p []byte) {
	for at := 0; at < len(p); at += 512 {
		switch string(p[at : at+4]) {
		case "XFSB":
			xfsSum(p[at:at+512], 224)
		case "BMA3":
			xfsSum(p, 64)
		case "XDB3", "XDD3":
			xfsSum(p, 4)
		case "XARM", "XSLM":
			xfsSum(p, 12)
		}
		if string(p[at:at+2]) == "IN" && p[at+4] == 3 {
			xfsSum(p[at:at+512], 100)
		}
	}
	if be.Uint16(p[8:]) == 0x3bee || be.Uint16(p[8:]) == 0x3ebe {
		xfsSum(p, 12)
	}
}

func TestXFSDamage(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	dir := smallTree(t)
	os.Truncate(filepath.Join(dir, "a/b/packed"), 20_000)
	for _, args := range []string{"", "-m crc=0"} {
		b, err := os.ReadFile(mkxfs(t, dir, 32, args))
		if err != nil {
			t.Fatal(err)
		}
		damage(t, XFS, b, unpacktest.Damaged{Rounds: 300, Unchecked: true})
	}
}

// TestXFSMetadataDamage changes inodes and folders of version 5, which have
// checksums.
func TestXFSMetadataDamage(t *testing.T) {
	testtool.Need(t, "mkfs.xfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "many"), 0o755)
	for i := range 200 {
		os.WriteFile(filepath.Join(dir, "many", fmt.Sprintf("f%d", i)), nil, 0o644)
	}
	b, err := os.ReadFile(mkxfs(t, dir, 32, ""))
	if err != nil {
		t.Fatal(err)
	}
	from := bytes.Index(b, []byte("IN\x41"))
	damage := unpacktest.Damaged{Rounds: 300, From: from, To: from + 200*512}
	unpacktest.Damage(t, XFS, b, damage)
	dirAt := bytes.Index(b, []byte("XDB3"))
	damage.From, damage.To = dirAt, dirAt+4096
	unpacktest.Damage(t, XFS, b, damage)
}

func FuzzXFS(f *testing.F) {
	dir := f.TempDir()
	os.MkdirAll(filepath.Join(dir, "a/b"), 0o755)
	os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat([]byte("hello "), 1500), 0o644)
	for i := range 30 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("a/b/file%d", i)), []byte("x"), 0o644)
	}
	os.Symlink(strings.Repeat("t", 400), filepath.Join(dir, "l"))
	var seeds [][]byte
	if _, err := os.Stat("/usr/sbin/mkfs.xfs"); err == nil {
		for _, args := range []string{"", "-m crc=0"} {
			img := mkxfs(f, dir, 32, args)
			// It crashes now and then; a seed without attributes will do then.
			_ = exec.Command("xfs_db", "-x", "-c", "path /f", "-c", "attr_set -u -v 3000 x", "-c", "attr_set -s -v 900 y", img).Run()
			b, _ := os.ReadFile(img)
			seeds = append(seeds, b)
		}
	}
	unpacktest.FuzzPatched(f, XFS, xfsMend, seeds...)
}
