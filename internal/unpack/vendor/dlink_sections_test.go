package vendor

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/boot"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"pgregory.net/rapid"
)

func TestDLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")
		header := rapid.SampledFrom([]int{128, 256, 512}).Draw(t, "header")
		slots := rapid.IntRange(2, 6).Draw(t, "slots")
		sections := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 200), 1, slots).Draw(t, "sections")
		sections[0] = append(sections[0], 1, 2, 3, 4, 5, 6, 7, 8)
		b := unpacktest.MakeDLink(order, header, slots, sections...)
		o, err := DLink.Open(unpacktest.Input(append(bytes.Clone(b), 0xff, 0xff)))
		if err != nil || o.Size != int64(len(b)+2) || len(o.Parts) != len(sections) || o.Info["product"] != "SOMENAME" {
			t.Fatalf("%+v %v", o, err)
		}
		for i, p := range o.Parts {
			if !bytes.Equal(p.Data.(unpack.Slice), sections[i]) {
				t.Fatalf("section %d differs", i)
			}
		}
		at := header + rapid.IntRange(0, len(sections[0])-1).Draw(t, "at")
		if at < header+(len(sections[0])&^3) {
			b[at]++
			if _, err := DLink.Open(unpacktest.Input(b)); err == nil {
				t.Fatal("wrong checksum: accepted")
			}
		}
	})
}

func TestDLinkReal(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a large package")
	}
	b := testtool.DebFile(t, "debian-installer-12-netboot-armel", "usr/lib/debian-installer/images/12/armel/kirkwood/network-console/d-link/dns-320/netboot.img")
	o := unpacktest.OpenBytes(t, DLink, b)
	if o.Info["product"] != "DNS323D1" {
		t.Errorf("product %q", o.Info["product"])
	}
	if o.Size != int64(len(b)) || len(o.Parts) != 2 {
		t.Fatalf("%+v", o)
	}
	for i, want := range []struct{ name, kind string }{{"Debian kernel", "kernel"}, {"debian-installer ramdisk", "ramdisk"}} {
		u := unpacktest.OpenBytes(t, boot.UImage, unpacktest.PartBytes(t, o.Parts[i]))
		if u.Info["name"] != want.name || u.Info["type"] != want.kind || u.Info["architecture"] != "arm" || u.Size != o.Parts[i].Data.Size() {
			t.Errorf("section %d: %v", i, u.Info)
		}
	}
}

func FuzzDLink(f *testing.F) {
	unpacktest.Fuzz(f, DLink, unpacktest.MakeDLink(binary.LittleEndian, 128, 3, []byte("abcdefgh"), []byte("ij")))
}
