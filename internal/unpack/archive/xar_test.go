package archive

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func TestXar(t *testing.T) {
	testtool.Need(t, "bsdtar")
	dir := unpacktest.SampleTree(t)
	for _, name := range []string{"odd/new\nline", "odd/b\xfcro", "bin/wall"} { // bsdtar writes none of these rightly
		os.Remove(filepath.Join(dir, name))
	}
	want := unpacktest.SummaryOfFolder(t, dir)
	for _, options := range []string{"", "compression=none", "compression=bzip2", "compression=xz,checksum=md5", "compression=lzma,checksum=none,toc-checksum=md5", "toc-checksum=none"} {
		args := []string{"bsdtar", "--format=xar", "-cf", "OUT", "."}
		if options != "" {
			args = []string{"bsdtar", "--format=xar", "--options=" + options, "-cf", "OUT", "."}
		}
		b := packFolder(t, dir, "a.xar", args...)
		o := unpacktest.OpenBytes(t, Xar, append(bytes.Clone(b), "behind"...))
		// It leaves room for a checksum at the end.
		if o.Size > int64(len(b)) || o.Size < int64(len(b))-20 {
			t.Errorf("%s: %d of %d bytes", options, o.Size, len(b))
		}
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
		if links := inodes(o); len(links) != 1 {
			t.Errorf("hard links %v", links)
		}
	}
}

func TestXarRandom(t *testing.T) {
	testtool.Need(t, "bsdtar")
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done++; done > 10 {
			return
		}
		dir := t.TempDir()
		unpacktest.RandomTree(rt, dir)
		want := unpacktest.SummaryOfFolder(t, dir)
		if len(want) == 0 {
			return
		}
		o := unpacktest.OpenBytes(t, Xar, packFolder(t, dir, "a.xar", "bsdtar", "--format=xar", "-cf", "OUT", "."))
		unpacktest.SameSummary(t, want, unpacktest.SummaryOfObject(t, o))
	})
}

func TestXarDamage(t *testing.T) {
	testtool.Need(t, "bsdtar")
	for _, options := range []string{"compression=none", "compression=gzip", "compression=xz"} {
		b := packFolder(t, smallTree(t), "a.xar", "bsdtar", "--format=xar", "--options="+options, "-cf", "OUT", ".")
		unpacktest.Damage(t, Xar, b, unpacktest.Damaged{Rounds: 300})
	}
}

// TestXarHostile has content outside of the archive, links to nowhere, and a
// file that claims to expand without end.
func TestXarHostile(t *testing.T) {
	toc := `<xar><toc>` +
		`<file id="1"><name>outside</name><type>file</type><data><length>5</length><offset>99999999</offset><size>5</size></data></file>` +
		`<file id="2"><name>negative</name><type>file</type><data><length>-5</length><offset>-9</offset><size>5</size></data></file>` +
		`<file id="3"><name>bomb</name><type>file</type><data><length>5</length><offset>0</offset><size>999999999999</size><encoding style="application/x-gzip"/></data></file>` +
		`<file id="4"><name>link</name><type link="9">hardlink</type></file>` +
		`<file id="5"><name>../up</name><type>file</type></file></toc></xar>`
	z := unpacktest.PackBlock(t, "zlib", []byte(toc))
	b := append([]byte(xarMagic), 0, 28, 0, 1)
	b = binary.BigEndian.AppendUint64(b, uint64(len(z)))
	b = binary.BigEndian.AppendUint64(b, uint64(len(toc)))
	b = append(append(b, 0, 0, 0, 0), z...)
	o, err := Xar.Open(unpacktest.Input(append(b, "some heap"...)))
	if err != nil || o.Err == nil || len(o.Entries) != 5 {
		t.Fatalf("%+v, %v", o, err)
	}
	for _, e := range o.Entries[:4] {
		if e.Err == nil {
			t.Errorf("%s has no error", e.Path)
		}
	}
	if strings.HasPrefix(unpack.CleanPath(o.Entries[4].Path), "../") {
		t.Errorf("%q", o.Entries[4].Path)
	}
}

// pbzxStream packs content in chunks, one of them stored.
func pbzxStream(t testing.TB, plain []byte, chunk int) []byte {
	b := binary.BigEndian.AppendUint64([]byte(pbzxMagic), uint64(chunk))
	for i := 0; i < len(plain); i += chunk {
		p := plain[i:min(i+chunk, len(plain))]
		z := p
		if i != chunk {
			z = unpacktest.PackBlock(t, "xz", p)
		}
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(z))), z...)
	}
	return b
}

func TestPbzx(t *testing.T) {
	testtool.Need(t, "xz")
	plain := bytes.Repeat([]byte("some content of a package\n"), 5000)
	for _, chunk := range []int{50_000, len(plain) / 2} {
		b := pbzxStream(t, plain, chunk)
		o := unpacktest.OpenBytes(t, Pbzx, b)
		if got := unpacktest.PartBytes(t, o.Parts[0]); !bytes.Equal(got, plain) || o.Size != int64(len(b)) {
			t.Errorf("%d bytes of %d", len(got), o.Size)
		}
		unpacktest.Damage(t, Pbzx, b, unpacktest.Damaged{Rounds: 200, Unchecked: true}) // stored chunks have no checksum
	}
}

func FuzzXar(f *testing.F) {
	testtool.Need(f, "bsdtar")
	unpacktest.Fuzz(f, Xar, packFolder(f, smallTree(f), "a.xar", "bsdtar", "--format=xar", "-cf", "OUT", "."), packFolder(f, smallTree(f), "a.xar", "bsdtar", "--format=xar", "--options=compression=xz,toc-checksum=none", "-cf", "OUT", "."))
}

func FuzzPbzx(f *testing.F) {
	testtool.Need(f, "xz")
	unpacktest.Fuzz(f, Pbzx, pbzxStream(f, bytes.Repeat([]byte("some content of a package\n"), 50), 500))
}
