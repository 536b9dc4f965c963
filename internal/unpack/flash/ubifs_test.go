package flash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func mkfsUBIFS(t testing.TB, tree string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.ubifs")
	testtool.Run(t, tree, "mkfs.ubifs", append(args, "-r", ".", "-o", out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUBIFSTool(t *testing.T) {
	tree := unpacktest.SampleTree(t)
	want := unpacktest.SummaryOfFolder(t, tree)
	for _, args := range []string{
		"-m 2048 -e 126976 -c 200 -x lzo", "-m 2048 -e 126976 -c 200 -x zlib", "-m 2048 -e 126976 -c 400 -x none", "-m 2048 -e 126976 -c 200 -x zstd",
		"-m 512 -e 15872 -c 2000 -x lzo", "-m 1 -e 65408 -c 300 -x zlib", "-m 4096 -e 253952 -c 100 -x favor_lzo -k test", "-m 2048 -e 126976 -c 2047 -f 64 -j 8MiB -p 3",
	} {
		t.Run(args, func(t *testing.T) {
			b := mkfsUBIFS(t, tree, strings.Fields(args)...)
			o := unpacktest.OpenBytes(t, UBIFS, append(bytes.Clone(b), "behind"...))
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
			if o.Size != int64(len(b)) || o.Info["read"] != "" {
				t.Errorf("size %d of %d, %v", o.Size, len(b), o.Info)
			}
			links := map[string]uint64{}
			for _, e := range o.Entries {
				links[e.Path] = e.Inode
			}
			if links["lib/random"] == 0 || links["lib/random"] != links["lib/random.hard"] || links["lib/half"] == links["lib/random"] {
				t.Error("hard links are not told")
			}
			// Without master nodes all is found by searching.
			lost := bytes.Clone(b)
			leb, _ := strconv.Atoi(o.Info["block"])
			clear(lost[leb : 3*leb])
			o, err := UBIFS.Open(unpacktest.Input(lost))
			if err != nil || o.Err == nil {
				t.Fatalf("without a master node: %v", err)
			}
			unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		})
	}
}

// TestUBIFSTrees packs random trees in random ways.
func TestUBIFSTrees(t *testing.T) {
	testtool.Need(t, "mkfs.ubifs")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "tree")
		if err != nil {
			rt.Fatal(err)
		}
		unpacktest.RandomTree(rt, dir)
		geometry := rapid.SampledFrom([]string{"-m 2048 -e 126976 -c 400", "-m 512 -e 15872 -c 2000", "-m 1 -e 65408 -c 500", "-m 4096 -e 253952 -c 200"}).Draw(rt, "geometry")
		args := append(strings.Fields(geometry), "-x", rapid.SampledFrom([]string{"lzo", "zlib", "zstd", "none", "favor_lzo"}).Draw(rt, "compressor"),
			"-f", rapid.SampledFrom([]string{"3", "8", "32"}).Draw(rt, "fanout"))
		b := mkfsUBIFS(t, dir, args...)
		o := unpacktest.OpenBytes(t, UBIFS, b)
		unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, dir), unpacktest.SummaryOfObject(t, o))
		if o.Size != int64(len(b)) {
			t.Errorf("size %d of %d", o.Size, len(b))
		}
	})
}

func TestUBIFSInUBI(t *testing.T) {
	tree := unpacktest.SampleTree(t)
	image := mkfsUBIFS(t, tree, strings.Fields("-m 2048 -e 126976 -c 200 -x zlib")...)
	b := ubinize(t, []string{"-p", "128KiB", "-m", "2048"}, map[string][]byte{"rootfs": image, "other": nil}, "rootfs dynamic")
	o := unpacktest.OpenBytes(t, UBI, b)
	unpacktest.SameSummary(t, unpacktest.SummaryOfFolder(t, tree), unpacktest.SummaryOfObject(t, unpacktest.OpenBytes(t, UBIFS, unpacktest.PartBytes(t, o.Parts[0]))))
}

// TestUBIFSXattr is made by hand: Debian's mkfs.ubifs writes no attributes.
func TestUBIFSXattr(t *testing.T) {
	xent := func(w *ubifsWriter, host, ino uint32, name string) ubifsPlace {
		b := make([]byte, 32)
		copy(b, ubifsKey(host, ubifsXent, 1))
		binary.LittleEndian.PutUint64(b[16:], uint64(ino))
		binary.LittleEndian.PutUint16(b[26:], uint16(len(name)))
		return w.node(ubifsXent, 0, append(append(b, name...), 0))
	}
	b := makeUBIFS(func(w *ubifsWriter) []ubifsPlace {
		return []ubifsPlace{
			w.ino(1, 0o040755, 2, 160, 0, ""), w.dent(1, 2, 0, "f", 0), w.ino(2, 0o100755, 1, 0, 0, ""),
			xent(w, 2, 3, "security.capability"), w.ino(3, 0o100777, 1, 4, 0x20, "\x01\x00\x00\x02"), xent(w, 2, 4, "user.old"), w.ino(4, 0o100777, 1, 1, 0x20, "x"),
		}
	}, func(w *ubifsWriter) { xent(w, 2, 0, "user.old") })
	e := unpack.NewTree(unpacktest.OpenBytes(t, UBIFS, b).Entries).Entry("f")
	if len(e.Xattrs) != 1 || e.Xattrs["security.capability"] != "\x01\x00\x00\x02" {
		t.Errorf("%q", e.Xattrs)
	}
}

func TestUBIFSCorpus(t *testing.T) {
	o := unpacktest.Open(t, UBIFS, unpacktest.Corpus(t, "formats/test.ubifs"))
	t.Log(o.Format, o.Size, o.Info, len(o.Entries))
	u := unpacktest.Open(t, UBI, unpacktest.Corpus(t, "formats/ubi.img"))
	for _, p := range u.Parts {
		t.Log(p.Name, p.Info, p.Data.Size(), fmt.Sprintf("%x", unpack.ReadSome(p.Data, 0, 8)))
	}
}

// ubifsWriter makes small file systems, with an index of one leaf and a
// journal, as the kernel would leave them.
type ubifsWriter struct {
	b        []byte
	leb      int
	sequence uint64
	at       int // where the next node goes
}

func (w *ubifsWriter) node(kind byte, group byte, body []byte) ubifsPlace {
	n := make([]byte, 24+len(body))
	copy(n, ubifsMagic)
	w.sequence++
	le := binary.LittleEndian
	le.PutUint64(n[8:], w.sequence)
	le.PutUint32(n[16:], uint32(len(n)))
	n[20], n[21] = kind, group
	copy(n[24:], body)
	le.PutUint32(n[4:], ubiSum(n[8:]))
	p := ubifsPlace{uint32(w.at / w.leb), uint32(w.at % w.leb), uint32(len(n))}
	copy(w.b[w.at:], n)
	w.at = (w.at + len(n) + 7) &^ 7
	return p
}

func ubifsKey(ino uint32, kind, rest uint32) []byte {
	k := make([]byte, 16)
	binary.LittleEndian.PutUint32(k, ino)
	binary.LittleEndian.PutUint32(k[4:], kind<<29|rest)
	return k
}

func (w *ubifsWriter) ino(ino, mode, links uint32, size uint64, flags uint32, inline string) ubifsPlace {
	b := make([]byte, 136, 136+len(inline))
	le := binary.LittleEndian
	copy(b, ubifsKey(ino, ubifsIno, 0))
	le.PutUint64(b[24:], size)
	le.PutUint32(b[68:], links)
	le.PutUint32(b[80:], mode)
	le.PutUint32(b[84:], flags)
	le.PutUint32(b[88:], uint32(len(inline)))
	return w.node(ubifsIno, 0, append(b, inline...))
}

func (w *ubifsWriter) dent(dir, ino uint32, kind byte, name string, group byte) ubifsPlace {
	b := make([]byte, 32)
	copy(b, ubifsKey(dir, ubifsDent, uint32(len(name))))
	binary.LittleEndian.PutUint64(b[16:], uint64(ino))
	b[25] = kind
	binary.LittleEndian.PutUint16(b[26:], uint16(len(name)))
	return w.node(ubifsDent, group, append(append(b, name...), 0))
}

func (w *ubifsWriter) data(ino, block uint32, method uint16, size int, packed string) ubifsPlace {
	b := make([]byte, 24)
	copy(b, ubifsKey(ino, ubifsData, block))
	binary.LittleEndian.PutUint32(b[16:], uint32(size))
	binary.LittleEndian.PutUint16(b[20:], method)
	return w.node(ubifsData, 0, append(b, packed...))
}

func (w *ubifsWriter) trun(ino uint32, from, to uint64) {
	b := make([]byte, 32)
	binary.LittleEndian.PutUint32(b, ino)
	binary.LittleEndian.PutUint64(b[16:], from)
	binary.LittleEndian.PutUint64(b[24:], to)
	w.node(ubifsTrun, 0, b)
}

const (
	ubifsTestLEB   = 4096
	ubifsTestIndex = 8
	ubifsTestMain  = 10
	ubifsTestBud   = 12
)

// makeUBIFS writes what main writes to the main area, an index of it, and what
// journal writes to a block of the journal.
func makeUBIFS(main func(w *ubifsWriter) []ubifsPlace, journal func(w *ubifsWriter)) []byte {
	w := &ubifsWriter{b: bytes.Repeat([]byte{0xff}, 16*ubifsTestLEB), leb: ubifsTestLEB}
	le := binary.LittleEndian
	super := make([]byte, 4096-24)
	le.PutUint32(super[12:], ubifsTestLEB)
	le.PutUint32(super[16:], 16)
	le.PutUint32(super[32:], 2) // blocks of the log
	le.PutUint32(super[56:], 5)
	w.node(ubifsSuper, 0, super)
	w.at = ubifsTestMain * ubifsTestLEB
	leaves := main(w)
	w.at = ubifsTestIndex * ubifsTestLEB
	idx := make([]byte, 4)
	le.PutUint16(idx, uint16(len(leaves)))
	for _, p := range leaves {
		n := w.b[int(p.lnum)*ubifsTestLEB+int(p.offs):]
		for _, v := range []uint32{p.lnum, p.offs, p.len} {
			idx = le.AppendUint32(idx, v)
		}
		idx = append(idx, n[24:32]...)
	}
	root := w.node(ubifsIdx, 0, idx)
	master := make([]byte, 512-24)
	le.PutUint64(master[8:], 7) // number of the commit
	le.PutUint32(master[20:], ubifsLog)
	le.PutUint32(master[24:], root.lnum)
	le.PutUint32(master[28:], root.offs)
	le.PutUint32(master[32:], root.len)
	for i := 1; i <= 2; i++ {
		w.at = i * ubifsTestLEB
		w.node(ubifsMst, 0, master)
	}
	w.at = ubifsLog * ubifsTestLEB
	w.node(ubifsCS, 0, []byte{7, 0, 0, 0, 0, 0, 0, 0})
	if journal != nil {
		ref := make([]byte, 40)
		le.PutUint32(ref, ubifsTestBud)
		w.node(ubifsRef, 0, ref)
		w.at = ubifsTestBud * ubifsTestLEB
		journal(w)
	}
	return w.b
}

// sampleUBIFS holds files named a to e, each with one block "old N".
func sampleUBIFS(journal func(w *ubifsWriter)) []byte {
	return makeUBIFS(func(w *ubifsWriter) []ubifsPlace {
		leaves := []ubifsPlace{w.ino(1, 0o040755, 2, 160, 0, "")}
		for i, name := range []string{"a", "b", "c", "d", "e"} {
			ino := uint32(100 + i)
			leaves = append(leaves, w.dent(1, ino, 0, name, 0), w.ino(ino, 0o100644, 1, 5, 0, ""), w.data(ino, 0, 0, 5, "old "+name))
		}
		return leaves
	}, journal)
}

func ubifsContents(t testing.TB, b []byte) string {
	t.Helper()
	o := unpacktest.OpenBytes(t, UBIFS, b)
	tree := unpack.NewTree(o.Entries)
	var list []string
	for _, p := range tree.Paths()[1:] {
		e := tree.Entry(p)
		content := "-"
		if e.Err != nil {
			content = "!" + e.Err.Error()
		} else if e.Data != nil {
			c, err := unpack.ReadAll(e.Data, 1<<20)
			if err != nil {
				content = "!" + err.Error()
			} else {
				content = string(c)
			}
		}
		list = append(list, p+"="+content)
	}
	return strings.Join(list, " ")
}

func TestUBIFSJournal(t *testing.T) {
	if got := ubifsContents(t, sampleUBIFS(nil)); got != "a=old a b=old b c=old c d=old d e=old e" {
		t.Fatal(got)
	}
	got := ubifsContents(t, sampleUBIFS(func(w *ubifsWriter) {
		w.data(100, 0, 0, 5, "new a") // overwritten
		w.dent(1, 0, 0, "b", 0)       // removed
		w.ino(101, 0o100644, 0, 5, 0, "")
		w.trun(102, 5, 2) // cut to two bytes: the last block is written anew
		w.data(102, 0, 0, 2, "ol")
		w.ino(102, 0o100644, 1, 2, 0, "")
		w.data(103, 1, 0, 3, "end") // longer than the inode of before says
		w.dent(1, 105, 0, "f", 0)   // new
		w.ino(105, 0o100600, 1, 3, 0, "")
		w.data(105, 0, 0, 3, "fff")
		w.dent(1, 104, 0, "g", 0) // moved
		w.dent(1, 0, 0, "e", 0)
		w.dent(1, 106, 0, "unfinished", 1)
	}))
	want := "a=new a c=ol d=old d" + strings.Repeat("\x00", 4091) + "end f=fff g=old e"
	if got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// TestUBIFSEncryptedTool has mkfs.ubifs encrypt with a key that nobody gets.
func TestUBIFSEncryptedTool(t *testing.T) {
	tree := t.TempDir()
	unpacktest.WriteFile(t, tree, "f", []byte("a secret text"))
	os.Symlink("target", filepath.Join(tree, "l"))
	key := unpacktest.WriteFile(t, t.TempDir(), "key", unpacktest.Noise(1, 64))
	o := unpacktest.OpenBytes(t, UBIFS, mkfsUBIFS(t, tree, strings.Fields("-C AES-256-XTS -b 0123456789abcdef -m 2048 -e 126976 -c 100 -K "+key)...))
	if o.Info["encryption"] != "fscrypt" || len(o.Entries) != 3 {
		t.Errorf("%v, %d entries", o.Info, len(o.Entries))
	}
	for _, e := range o.Entries[1:] {
		if !errors.Is(e.Err, unpack.ErrEncrypted) || e.Link != "" || e.Data != nil {
			t.Errorf("%+v", e)
		}
	}
}

func TestUBIFSEncrypted(t *testing.T) {
	b := makeUBIFS(func(w *ubifsWriter) []ubifsPlace {
		return []ubifsPlace{
			w.ino(1, 0o040755, 2, 160, 0, ""), w.dent(1, 2, 1, "private", 0), w.ino(2, 0o040700, 2, 160, ubifsCrypt, ""),
			w.dent(2, 3, 0, "\x01\xff", 0), w.ino(3, 0o100600, 1, 5, ubifsCrypt, ""), w.data(3, 0, 0, 5, "?????"),
		}
	}, nil)
	if got := ubifsContents(t, b); got != "private=- private/encrypted-01ff=!encrypted by fscrypt: 5 bytes" {
		t.Error(got)
	}
}

// TestUBIFSDamage changes one byte after the other: contents may get lost, or
// older ones return, but others never appear.
func TestUBIFSDamage(t *testing.T) {
	good := sampleUBIFS(nil)
	for _, area := range [][2]int{{0, 256}, {ubifsTestLEB, 256}, {ubifsLog * ubifsTestLEB, 128}, {ubifsTestIndex * ubifsTestLEB, 512}, {ubifsTestMain * ubifsTestLEB, 2500}} {
		for i := area[0]; i < area[0]+area[1]; i++ {
			b := bytes.Clone(good)
			b[i] ^= 0x21
			o, err := UBIFS.Open(unpacktest.Input(b))
			if err != nil {
				continue
			}
			for _, e := range o.Entries {
				if e.Data == nil {
					continue
				}
				if c, err := unpack.ReadAll(e.Data, 1<<16); err == nil && string(c) != "old "+e.Path {
					t.Fatalf("byte 0x%x: %s has %q without an error", i, e.Path, c)
				}
			}
		}
	}
	z, _ := zstd.NewWriter(nil)
	b := makeUBIFS(func(w *ubifsWriter) []ubifsPlace {
		return []ubifsPlace{w.dent(1, 2, 0, "f", 0), w.ino(2, 0o100644, 1, 5000, 0, ""), w.data(2, 0, 3, 4096, string(z.EncodeAll(make([]byte, 4000), nil)))}
	}, nil)
	if got := ubifsContents(t, b); !strings.HasPrefix(got, "f=!data node at block 10") {
		t.Errorf("a block that is too short: %q", got)
	}
}

// TestUBIFSChanged: each node has a checksum.
func TestUBIFSChanged(t *testing.T) {
	unpacktest.Damage(t, UBIFS, sampleUBIFS(nil), unpacktest.Damaged{Rounds: 1000})
}

func FuzzUBIFS(f *testing.F) {
	unpacktest.Fuzz(f, UBIFS, sampleUBIFS(nil), sampleUBIFS(func(w *ubifsWriter) {
		w.trun(102, 5, 2)
		w.dent(1, 1, 1, "loop", 0)
		w.ino(101, 0o120777, 1, 3, 0, "abc")
	}))
}
