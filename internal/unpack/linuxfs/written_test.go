package linuxfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

// writtenTree is the sample tree with names that fit, with owners, and with
// random trees in it: a start of the kernel takes too long for each one.
func writtenTree(t testing.TB, name int) string {
	dir := unpacktest.SampleTree(t)
	os.Remove(filepath.Join(dir, "odd", strings.Repeat("n", 200)))
	os.WriteFile(filepath.Join(dir, "odd", strings.Repeat("n", name)), []byte("long name"), 0o644)
	os.Chown(filepath.Join(dir, "bin/text"), 1000, 200)
	for i := range 8 {
		sub := filepath.Join(dir, "random", fmt.Sprint(i))
		os.MkdirAll(sub, 0o755)
		rapid.Custom(func(rt *rapid.T) int { unpacktest.RandomTree(rt, sub); return 0 }).Example(i)
	}
	return dir
}

// Shell commands that run on both sides.
const (
	// A file with holes at each level of pointers.
	scriptHoles = "echo a > holes; for n in 9 518 1031 9000; do echo $n | dd of=holes bs=1024 seek=$n conv=notrunc 2>/dev/null; done; "
	// Two files in many pieces, and a file that shrank and grew.
	scriptPieces = "for i in 1 2 3 4 5 6; do head -c 4096 bin/text >> pieces1; head -c 9000 lib/random >> pieces2; done; cp bin/text cut; truncate -s 5001 cut; truncate -s 70000 cut; echo end >> cut; "
	// A folder of several levels. A new process takes long in that Linux.
	scriptNames = "mkdir names; seq -f names/a-rather-long-name-that-fills-several-slots-%g 900 | xargs touch; rm names/*[147]; "
)

type writtenImage struct {
	unpacktest.KernelImage
	reader *unpack.Reader
	info   string // what the object's format and information have
}

// writtenImages makes empty images of all that Linux can fill.
func writtenImages(t testing.TB) (list []writtenImage) {
	small, large := scriptHoles, scriptHoles+scriptPieces+scriptNames
	short, long, longest := writtenTree(t, 14), writtenTree(t, 30), writtenTree(t, 200)
	add := func(r *unpack.Reader, mebi int64, tree, options, info string, mkfs ...string) {
		script := small
		if tree == longest {
			script = large
		}
		img := filepath.Join(t.TempDir(), "img")
		os.WriteFile(img, nil, 0o644)
		os.Truncate(img, mebi<<20)
		testtool.Run(t, "", mkfs[0], append(mkfs[1:], img)...)
		list = append(list, writtenImage{unpacktest.KernelImage{File: img, Tree: tree, Type: r.Name, Options: options, Script: script}, r, info})
	}
	add(Minix, 24, short, "", "minix 1", "mkfs.minix", "-1", "-n14")
	add(Minix, 24, short, "", "minix 2", "mkfs.minix", "-2", "-n14")
	add(Minix, 24, long, "", "minix 1", "mkfs.minix", "-1")
	add(Minix, 24, long, "", "minix 2", "mkfs.minix", "-2")
	add(Minix, 24, long, "", "minix 3", "mkfs.minix", "-3")
	add(JFS, 48, longest, "", "jfs 1", "mkfs.jfs", "-q", "-L", "label")
	add(JFS, 48, longest, "", "OS/2", "mkfs.jfs", "-q", "-O")
	add(ReiserFS, 64, longest, "user_xattr", "reiserfs 3.6", "mkreiserfs", "-q", "-ff", "-l", "label")
	add(ReiserFS, 64, longest, "user_xattr", "reiserfs 3.6", "mkreiserfs", "-q", "-ff", "-b", "1024")
	add(ReiserFS, 64, longest, "user_xattr,notail", "reiserfs 3.6", "mkreiserfs", "-q", "-ff", "-b", "2048", "-h", "tea")
	for _, dir := range []string{short, long, longest} {
		for name, value := range map[string]string{"user.note": "hello", "user.long": strings.Repeat("value ", 300)} {
			if err := syscall.Setxattr(filepath.Join(dir, "etc/passwd"), name, []byte(value), 0); err != nil {
				t.Log(err)
			}
		}
		syscall.Setxattr(filepath.Join(dir, "bin/su"), "user.short", []byte("x"), 0)
	}
	return list
}

// TestWritten opens what Linux has written to file systems without a tool to
// fill them; minix also in the other byte order.
func TestWritten(t *testing.T) {
	testtool.Need(t, "linux.uml")
	list := writtenImages(t)
	var images []unpacktest.KernelImage
	for _, img := range list {
		images = append(images, img.KernelImage)
	}
	unpacktest.KernelWrite(t, images...)
	done := map[string]bool{}
	for i, img := range list {
		if !done[img.Tree] {
			testtool.Run(t, img.Tree, "sh", "-ec", img.Script)
			done[img.Tree] = true
		}
		t.Run(fmt.Sprintf("%d_%s", i, img.info), func(t *testing.T) {
			b, err := os.ReadFile(img.File)
			if err != nil {
				t.Fatal(err)
			}
			o := unpacktest.OpenBytes(t, img.reader, append(bytes.Clone(b), "more"...))
			if o.Size != int64(len(b)) || !strings.Contains(o.Format+fmt.Sprint(o.Info), img.info) || len(o.Gaps) > 0 {
				t.Errorf("%s, %d of %d bytes, %v %v", o.Format, o.Size, len(b), o.Info, o.Gaps)
			}
			want := unpacktest.SummaryOfFolder(t, img.Tree)
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
			if img.reader == Minix {
				swapMinix(b)
				o = unpacktest.OpenBytes(t, Minix, b)
				if o.Info["byte order"] != "big" {
					t.Errorf("%v", o.Info)
				}
				unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
				return
			}
			sameXattrs(t, img, o)
		})
	}
}

func sameXattrs(t *testing.T, img writtenImage, o *unpack.Object) {
	tree := unpack.NewTree(o.Entries)
	for _, file := range []string{"etc/passwd", "bin/su", "bin/wall"} {
		want := map[string]string{}
		for _, name := range []string{"user.note", "user.long", "user.short"} {
			value := make([]byte, 4096)
			if n, err := syscall.Getxattr(filepath.Join(img.Tree, file), name, value); err == nil {
				want[name] = string(value[:n])
			}
		}
		got := tree.Entry(file).Xattrs
		if len(got) != len(want) {
			t.Errorf("%s: attributes %.60q instead of %.60q", file, got, want)
		}
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s: %s is %.40q", file, name, got[name])
			}
		}
	}
}
