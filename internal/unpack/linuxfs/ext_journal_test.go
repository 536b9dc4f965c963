package linuxfs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// difference lists the blocks in which two images differ, as debugfs takes
// them, and their content in the second.
func difference(a, b []byte, block int) (list string, content []byte) {
	var numbers []string
	for at := block; at+block <= len(b); at += block {
		if !bytes.Equal(a[at:at+block], b[at:at+block]) {
			numbers = append(numbers, fmt.Sprint(at/block))
			content = append(content, b[at:at+block]...)
		}
	}
	return strings.Join(numbers, ","), content
}

// changed is a copy of an image changed by debugfs, whose journal stays as it is.
func changed(t testing.TB, img string, commands ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "changed")
	os.WriteFile(to, b, 0o644)
	debugfs(t, to, commands...)
	if b, err = os.ReadFile(to); err != nil {
		t.Fatal(err)
	}
	return b
}

func fsck(t testing.TB, b []byte) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), "img")
	os.WriteFile(img, b, 0o644)
	if out, err := exec.Command(testtool.Need(t, "e2fsck"), "-fy", img).CombinedOutput(); err != nil && !strings.Contains(string(out), "MODIFIED") {
		t.Fatalf("%v %s", err, out)
	}
	b, _ = os.ReadFile(img)
	return b
}

// dirty makes an image whose journal holds three changes and one that is not
// committed: a file added, another removed, a link and a file's content that
// begins as a block of the journal does.
func dirty(t testing.TB, block int, jo string, mkfs ...string) (image []byte) {
	t.Helper()
	testtool.Need(t, "debugfs")
	dir := filepath.Join(t.TempDir(), "tree")
	os.MkdirAll(filepath.Join(dir, "folder"), 0o755)
	for i := range 20 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("folder/f%d", i)), unpacktest.Noise(int64(i), 500*i), 0o644)
	}
	img := mke2fs(t, dir, 16, append(mkfs, "-b", fmt.Sprint(block), "-N", "128", "-J", "size=4")...)
	base, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	os.WriteFile(other, append([]byte("\xc0\x3b\x39\x98"), unpacktest.Noise(99, 5000)...), 0o644)
	steps := []string{"write " + other + " added", "rm folder/f3\nsymlink link folder/f4", "ln folder/f5 hard\nsif folder/f6 mode 0100600\nmkdir more"}
	script := []string{"jo " + jo}
	from := base
	for i, step := range append(steps, "rm added") {
		now := filepath.Join(t.TempDir(), "now")
		os.WriteFile(now, from, 0o644)
		to := changed(t, now, step)
		list, content := difference(from, to, block)
		file := filepath.Join(t.TempDir(), fmt.Sprint("blocks", i))
		os.WriteFile(file, content, 0o644)
		flag := ""
		if i == len(steps) {
			flag = "-c " // never committed
		}
		script = append(script, fmt.Sprintf("jw %s-b %s %s", flag, list, file))
		from = to
	}
	debugfs(t, img, append(script, "jc")...)
	image, err = os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestExtReplay: an image with changes in its journal is read as e2fsck, and so
// the kernel, would leave it.
func TestExtReplay(t *testing.T) {
	for _, c := range []struct {
		block    int
		jo, mkfs string
	}{
		{1024, "-c -v 3", "-t ext4"}, {4096, "-c -v 3", "-t ext4 -O ^64bit"}, {1024, "-c -v 2", "-t ext4"}, {1024, "-c -v 2", "-t ext4 -O ^64bit"},
		{1024, "", "-t ext3"}, {4096, "", "-t ext4 -O ^metadata_csum"}, {2048, "-c -v 3", "-t ext4 -O inline_data"},
	} {
		t.Run(fmt.Sprintf("%d %s %s", c.block, c.jo, c.mkfs), func(t *testing.T) {
			b := dirty(t, c.block, c.jo, strings.Fields(c.mkfs)...)
			o := unpacktest.OpenBytes(t, Ext, b)
			if !strings.Contains(o.Info["journal"], "of 3 transactions") || len(o.Gaps) > 0 {
				t.Errorf("%v %v", o.Info, o.Gaps)
			}
			got := summaryOfExt(t, o)
			if got["added"] == "" || got["folder/f3"] != "" || got["more"] == "" || got["link"] == "" {
				t.Errorf("the changes are not applied: %q", got)
			}
			unpacktest.SameSummary(t, summaryOfExt(t, unpacktest.OpenBytes(t, Ext, fsck(t, b))), got)
		})
	}
}

// TestExtReplayRevoked: copies of a block that was freed later don't count.
func TestExtReplayRevoked(t *testing.T) {
	for _, jo := range []string{"-c -v 3", ""} {
		dir := filepath.Join(t.TempDir(), "tree")
		os.MkdirAll(dir, 0o755)
		os.WriteFile(filepath.Join(dir, "f"), unpacktest.Noise(1, 4096), 0o644)
		img := mke2fs(t, dir, 16, "-t", "ext4", "-b", "1024", "-J", "size=4")
		out := string(testtool.Run(t, "", "debugfs", "-R", "blocks /f", img))
		blocks := strings.Fields(strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]))
		file := unpacktest.WriteFile(t, t.TempDir(), "blocks", bytes.Repeat([]byte{1}, 2048))
		two := unpacktest.WriteFile(t, t.TempDir(), "blocks", bytes.Repeat([]byte{2}, 1024))
		debugfs(t, img, "jo "+jo, fmt.Sprintf("jw -b %s,%s %s", blocks[0], blocks[1], file), fmt.Sprintf("jw -r %s,%s", blocks[0], blocks[2]), fmt.Sprintf("jw -b %s %s", blocks[2], two), "jc")
		b, _ := os.ReadFile(img)
		got := summaryOfExt(t, unpacktest.OpenBytes(t, Ext, b))
		unpacktest.SameSummary(t, summaryOfExt(t, unpacktest.OpenBytes(t, Ext, fsck(t, b))), got)
		want := unpacktest.Noise(1, 4096)
		copy(want[1024:], bytes.Repeat([]byte{1}, 1024))
		copy(want[2048:], bytes.Repeat([]byte{2}, 1024))
		content, err := unpack.ReadAll(unpack.NewTree(unpacktest.OpenBytes(t, Ext, b).Entries).Entry("f").Data, 1<<20)
		if err != nil || !bytes.Equal(content, want) {
			t.Errorf("%q: %v: %x %x %x", jo, err, content[0], content[1024], content[2048])
		}
	}
}

// TestExtReplayDamage changes the journal, which has checksums.
func TestExtReplayDamage(t *testing.T) {
	b := dirty(t, 1024, "-c -v 3", "-t", "ext4")
	x, _ := findExt(unpacktest.Input(b))
	x.end = int64(len(b))
	j, start, err := x.openJournal()
	if err != nil || start == 0 {
		t.Fatal(err, start)
	}
	p, err := j.x.inode(8)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.run(start, &extWalk{})
	if err != nil {
		t.Fatal(err)
	}
	// The last transaction is left alone: without its commit it never happened.
	from := int(r.at) * 1024
	to := from
	for sequence := be.Uint32(j.head()[24:]); be.Uint32(b[to:]) != jbdMagic || be.Uint32(b[to+8:]) < sequence+2; {
		to += 1024
	}
	unpacktest.Damage(t, Ext, b, unpacktest.Damaged{Rounds: 300, From: from, To: to})
}

// TestExtFast: fast commits are said to be left out. A kernel makes room for
// them at the journal's end.
func TestExtFast(t *testing.T) {
	b := dirty(t, 1024, "-c -v 3", "-t", "ext4")
	x, _ := findExt(unpacktest.Input(b))
	x.end = int64(len(b))
	i, err := x.inode(8)
	if err != nil {
		t.Fatal(err)
	}
	r, err := i.run(0, &extWalk{})
	if err != nil {
		t.Fatal(err)
	}
	sb := b[r.at*1024:][:1024]
	be.PutUint32(sb[40:], be.Uint32(sb[40:])|jbdHasFast)
	be.PutUint32(sb[84:], 64)
	be.PutUint32(sb[252:], 0)
	be.PutUint32(sb[252:], x.crc(^uint32(0), sb))
	o := unpacktest.OpenBytes(t, Ext, b)
	if len(o.Gaps) != 0 || !strings.Contains(o.Info["journal"], "of 3") {
		t.Fatalf("%v %v", o.Info, o.Gaps)
	}
	if r, err = i.run(int64(be.Uint32(sb[16:]))-64, &extWalk{}); err != nil {
		t.Fatal(err)
	}
	head := b[r.at*1024:] // the head that a fast commit of the next transaction has
	le.PutUint16(head, 9)
	le.PutUint16(head[2:], 8)
	le.PutUint32(head[8:], be.Uint32(sb[24:])+3)
	if o := unpacktest.OpenBytes(t, Ext, b); len(o.Gaps) != 1 || o.Gaps[0].Reason != "unsupported" {
		t.Errorf("%v", o.Gaps)
	}
}

// TestExtCopies: the copy of the superblock and of the descriptors takes over
// where the first is damaged.
func TestExtCopies(t *testing.T) {
	dir := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, args := range []string{"-t ext4 -b 1024", "-t ext2 -b 1024", "-t ext4 -b 2048 -O ^64bit", "-t ext4 -b 4096 -O ^has_journal"} {
		b, err := os.ReadFile(mke2fs(t, dir, 160, strings.Fields(args)...))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1024, 4096} { // with and without the descriptors behind it
			clear(b[1024 : 1024+n])
			o, err := Ext.Open(unpacktest.Input(b))
			if err != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "copy in group 1") {
				t.Fatalf("%s: %v", args, err)
			}
			unpacktest.SameSummary(t, want, summaryOfExt(t, o))
		}
	}
}

// TestExtCleanJournal: a flag that asks for recovery means nothing if the
// journal is empty.
func TestExtCleanJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	img := mke2fs(t, dir, 16, "-t", "ext4")
	debugfs(t, img, "feature needs_recovery")
	if o := unpacktest.Open(t, Ext, img); len(o.Gaps) != 0 {
		t.Errorf("%v %v", o.Info, o.Gaps)
	}
}
