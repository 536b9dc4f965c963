package unpack

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"pgregory.net/rapid"
)

// makeDLink writes the header structure over some sections.
func makeDLink(order binary.ByteOrder, header, slots int, sections ...[]byte) []byte {
	b := make([]byte, header)
	var sums []uint32
	for i := range slots {
		var s []byte
		if i < len(sections) {
			s = sections[i]
		}
		order.PutUint32(b[8*i:], uint32(len(b)))
		order.PutUint32(b[8*i+4:], uint32(len(s)))
		sum := uint32(0)
		for j := 0; j+4 <= len(s); j += 4 {
			sum ^= order.Uint32(s[j:])
		}
		sums = append(sums, sum)
		b = append(b, s...)
	}
	for i, sum := range sums {
		order.PutUint32(b[8*slots+4*i:], sum)
	}
	copy(b[12*slots:header], "\x55\xaaSOMENAME\x55\xaa")
	return b
}

func TestDLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SampledFrom([]binary.ByteOrder{binary.LittleEndian, binary.BigEndian}).Draw(t, "order")
		header := rapid.SampledFrom([]int{128, 256, 512}).Draw(t, "header")
		slots := rapid.IntRange(2, 6).Draw(t, "slots")
		sections := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 200), 1, slots).Draw(t, "sections")
		sections[0] = append(sections[0], 1, 2, 3, 4, 5, 6, 7, 8)
		b := makeDLink(order, header, slots, sections...)
		o, err := DLink.Open(newInput(append(bytes.Clone(b), 0xff, 0xff)))
		if err != nil || o.Size != int64(len(b)+2) || len(o.Parts) != len(sections) || o.Info["product"] != "SOMENAME" {
			t.Fatalf("%+v %v", o, err)
		}
		for i, p := range o.Parts {
			if !bytes.Equal(p.Data.(Slice), sections[i]) {
				t.Fatalf("section %d differs", i)
			}
		}
		at := header + rapid.IntRange(0, len(sections[0])-1).Draw(t, "at")
		if at < header+(len(sections[0])&^3) {
			b[at]++
			if _, err := DLink.Open(newInput(b)); err == nil {
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
	o := openBytes(t, DLink, b)
	if o.Info["product"] != "DNS323D1" {
		t.Errorf("product %q", o.Info["product"])
	}
	if o.Size != int64(len(b)) || len(o.Parts) != 2 {
		t.Fatalf("%+v", o)
	}
	for i, want := range []struct{ name, kind string }{{"Debian kernel", "kernel"}, {"debian-installer ramdisk", "ramdisk"}} {
		u := openBytes(t, UImage, partBytes(t, o.Parts[i]))
		if u.Info["name"] != want.name || u.Info["type"] != want.kind || u.Info["architecture"] != "arm" || u.Size != o.Parts[i].Data.Size() {
			t.Errorf("section %d: %v", i, u.Info)
		}
	}
}

func FuzzDLink(f *testing.F) {
	fuzzReader(f, DLink, makeDLink(binary.LittleEndian, 128, 3, []byte("abcdefgh"), []byte("ij")))
}
