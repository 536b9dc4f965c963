package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
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

// onlyFiles leaves out folders, which these archives may not hold, and what is
// no file's content.
func onlyFiles(s unpacktest.Summary) unpacktest.Summary {
	out := unpacktest.Summary{}
	for p, line := range s {
		if strings.HasPrefix(line, "-") {
			out[p] = line[strings.LastIndex(line, ":"):]
		}
	}
	return out
}

// packFolder packs all files of a folder.
func packFolder(t testing.TB, dir, out string, tool ...string) []byte {
	t.Helper()
	img := filepath.Join(t.TempDir(), out)
	for i := range tool {
		tool[i] = strings.ReplaceAll(tool[i], "OUT", img)
	}
	testtool.Run(t, dir, tool[0], tool[1:]...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oldTree is a tree with plain names and no links.
func oldTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	prog, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"prog": prog[:min(60_000, len(prog))], "mixed": unpacktest.MixedBytes(60_000), "sub/text": bytes.Repeat([]byte("the quick brown fox\n"), 4000), "sub/noise": unpacktest.Noise(2, 9_000), "one": {'1'}} {
		unpacktest.WriteFile(t, dir, name, b)
	}
	return dir
}

func TestLHA(t *testing.T) {
	testtool.Need(t, "jlha")
	dir := oldTree(t)
	want := onlyFiles(unpacktest.SummaryOfFolder(t, dir))
	for _, option := range []string{"a0", "a1", "az", "ao6", "ao7"} {
		b := packFolder(t, dir, "a.lzh", "jlha", "-"+option, "OUT", "prog", "mixed", "sub", "one")
		o := unpacktest.OpenBytes(t, LHA, b)
		if o.Size != int64(len(b)) {
			t.Errorf("%s: %d of %d bytes", option, o.Size, len(b))
		}
		unpacktest.SameSummary(t, want, onlyFiles(unpacktest.SummaryOfObject(t, o)))
	}
}

// lhaHeader1 is a header of level 1 for stored content, with extensions.
func lhaHeader1(method, name, content string, extensions ...string) []byte {
	le := binary.LittleEndian
	more := 0
	for _, x := range extensions {
		more += len(x) + 2
	}
	h := append([]byte{0, 0}, method...)
	h = le.AppendUint32(h, uint32(len(content)+more))
	h = le.AppendUint32(h, uint32(len(content)))
	h = append(h, 0, 0, 0x21, 0x58, 0x20, 1, byte(len(name)))
	h = append(h, name...)
	h = append(le.AppendUint16(h, crc16([]byte(content))), 'U')
	h[0] = byte(len(h))
	for _, x := range extensions {
		h = append(le.AppendUint16(h, uint16(len(x)+2)), x...)
	}
	h = le.AppendUint16(h, 0)
	for _, c := range h[2 : h[0]+2] {
		h[1] += c
	}
	return append(h, content...)
}

// TestLHAFields reads links, modes and owners of extensions; a file packed by
// an unknown method is reported.
func TestLHAFields(t *testing.T) {
	b := lhaHeader1("-lh0-", "file", "content", "\x02some\xfffolder\xff", "\x50\xed\x89", "\x51\x64\x00\xe8\x03", "\x54\x00\xf1\x53\x65")
	b = append(b, lhaHeader1("-lhd-", "", "", "\x01link|target", "\x50\xff\xa1")...)
	b = append(b, lhaHeader1("-lh3-", "odd", "content")...)
	o := unpacktest.OpenBytes(t, LHA, append(b, 0, 'x'))
	if o.Size != int64(len(b)+1) || len(o.Entries) != 3 {
		t.Fatalf("%d bytes, %v", o.Size, o.Entries)
	}
	if e := o.Entries[0]; e.Path != "some/folder/file" || e.Mode != fs.ModeSetuid|0o755&^0 || e.UID != 1000 || e.GID != 100 || e.ModTime.Unix() != 1700000000 {
		t.Errorf("%+v", e)
	}
	if e := o.Entries[1]; e.Path != "link" || e.Link != "target" || e.Mode&fs.ModeSymlink == 0 {
		t.Errorf("%+v", e)
	}
	if e := o.Entries[2]; !errors.Is(e.Err, unpack.ErrUnsupported) {
		t.Errorf("%v", e.Err)
	}
}

func TestLHADamage(t *testing.T) {
	testtool.Need(t, "jlha")
	dir := smallTree(t)
	for _, option := range []string{"a2", "az"} {
		b := packFolder(t, dir, "a.lzh", "jlha", "-"+option, "OUT", "f0", "f1", "f2", "f3")
		// A zero ends the list, and so do zeros where a header should be: what
		// follows is the carver's.
		unpacktest.Damage(t, LHA, b, unpacktest.Damaged{Rounds: 300, From: 60, Unchecked: true})
	}
}

func TestARJ(t *testing.T) {
	testtool.Need(t, "arj")
	dir := oldTree(t)
	want := onlyFiles(unpacktest.SummaryOfFolder(t, dir))
	for _, method := range []string{"0", "1", "2", "3", "4"} {
		b := packFolder(t, dir, "a.arj", "arj", "a", "-r", "-y", "-m"+method, "OUT", ".")
		o := unpacktest.OpenBytes(t, ARJ, append(bytes.Clone(b), "behind"...))
		if o.Size != int64(len(b)) {
			t.Errorf("%s: %d of %d bytes", method, o.Size, len(b))
		}
		unpacktest.SameSummary(t, want, onlyFiles(unpacktest.SummaryOfObject(t, o)))
	}
	o := unpacktest.OpenBytes(t, ARJ, packFolder(t, dir, "a.arj", "arj", "a", "-y", "-gsecret", "OUT", "mixed"))
	if len(o.Entries) != 1 || !errors.Is(o.Entries[0].Err, unpack.ErrEncrypted) {
		t.Errorf("%+v", o.Entries)
	}
}

func TestARJRandom(t *testing.T) {
	testtool.Need(t, "arj")
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done++; done > 10 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		want := onlyFiles(unpacktest.SummaryOfFolder(t, dir))
		if len(want) == 0 {
			return
		}
		o := unpacktest.OpenBytes(t, ARJ, packFolder(t, dir, "a.arj", "arj", "a", "-r", "-y", "-m1", "OUT", "."))
		unpacktest.SameSummary(t, want, onlyFiles(unpacktest.SummaryOfObject(t, o)))
	})
}

func TestARJDamage(t *testing.T) {
	testtool.Need(t, "arj")
	dir := smallTree(t)
	for _, method := range []string{"-m0", "-m1", "-m4"} {
		unpacktest.Damage(t, ARJ, packFolder(t, dir, "a.arj", "arj", "a", "-y", method, "OUT", "f0", "f1", "f2", "f3"), unpacktest.Damaged{Rounds: 300})
	}
}

func FuzzLHA(f *testing.F) {
	b := lhaHeader1("-lh0-", "file", "content", "\x02some\xfffolder\xff", "\x50\xed\x89")
	unpacktest.Fuzz(f, LHA, append(append(b, lhaHeader1("-lh5-", "odd", "content")...), 0))
}

func FuzzARJ(f *testing.F) {
	testtool.Need(f, "arj")
	dir := smallTree(f)
	unpacktest.Fuzz(f, ARJ, packFolder(f, dir, "a.arj", "arj", "a", "-y", "-m1", "OUT", "f0", "f1"), packFolder(f, dir, "b.arj", "arj", "a", "-y", "-m4", "OUT", "f2"))
}
