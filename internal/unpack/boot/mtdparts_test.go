package boot

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

func TestMTDParts(t *testing.T) {
	for text, want := range map[string][]PartitionTable{
		"spi0.0:256k(u-boot)ro,64k(env),0x10000@0x7f0000(art)ro,-@0x50000(firmware) root=/dev/x": {{"spi0.0", []Partition{
			{"u-boot", 0, 256 << 10, true}, {"env", 256 << 10, 64 << 10, false}, {"art", 0x7f0000, 0x10000, true}, {"firmware", 0x50000, -1, false}}}},
		"a:1M(x);nand:b:2m,-":         {{"a", []Partition{{"x", 0, 1 << 20, false}}}, {"nand:b", []Partition{{"partition 0", 0, 2 << 20, false}, {"partition 1", 2 << 20, -1, false}}}},
		"f:128k(a)lk,1g(b)slc":        {{"f", []Partition{{"a", 0, 128 << 10, false}, {"b", 128 << 10, 1 << 30, false}}}},
		`f:64k(a)",1k(b)`:             {{"f", []Partition{{"a", 0, 64 << 10, false}}}},
		"f:64k(a":                     nil,
		"f:0(a)":                      nil,
		"64k(a)":                      nil,
		":64k(a)":                     nil,
		"f:64kk(a)":                   nil,
		"f:99999999999g(a),1k(b)":     nil,
		"":                            nil,
		"f:9223372036854775807,1k(b)": nil,
	} {
		if got := ParseMTDParts(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}

func FuzzMTDParts(f *testing.F) {
	f.Add("spi0.0:256k(u-boot)ro,64k@1M(env),-(rest);b:1(x)")
	f.Fuzz(func(t *testing.T, text string) {
		for _, table := range ParseMTDParts(text) {
			again := ParseMTDParts(table.MTDParts())
			rest := false
			for _, p := range table.Partitions {
				rest = rest || p.Size < 0
			}
			if !rest && (len(again) != 1 || len(again[0].Partitions) != len(table.Partitions)) {
				t.Errorf("%q: %q", text, table.MTDParts())
			}
		}
	})
}

const flashTree = `/dts-v1/;
/ { #address-cells = <1>; #size-cells = <1>;
 spi { flash@0 { compatible = "jedec,spi-nor"; reg = <0>;
  partitions { compatible = "fixed-partitions"; #address-cells = <1>; #size-cells = <1>;
   partition@0 { label = "u-boot"; reg = <0x0 0x40000>; read-only; };
   partition@40000 { label = "u-boot env"; reg = <0x40000 0x10000>; };
   factory: partition@50000 { reg = <0x50000 0x10000>; };
  }; }; };
 nand@1000 { #address-cells = <2>; #size-cells = <2>;
   partition@0 { label = "kernel"; reg = <0 0 0 0x400000>; };
   partition@400000 { label = "rootfs"; reg = <0 0x400000 1 0>; }; };
 leds { led@0 { label = "power"; reg = <0 1>; }; };
};
`

func TestDeviceTreePartitions(t *testing.T) {
	dir := t.TempDir()
	dts := unpacktest.WriteFile(t, dir, "t.dts", []byte(flashTree))
	testtool.Run(t, dir, "dtc", "-q", "-O", "dtb", "-o", "t.dtb", dts)
	o := unpacktest.Open(t, DTB, dir+"/t.dtb")
	want := "flash@0:0x40000@0x0(u-boot)ro,0x10000@0x40000(u-boot_env),0x10000@0x50000(partition);nand@1000:0x400000@0x0(kernel),0x100000000@0x400000(rootfs)"
	if o.Info["partitions"] != want {
		t.Errorf("got  %s\nwant %s", o.Info["partitions"], want)
	}
	if got := ParseMTDParts(o.Info["partitions"]); len(got) != 2 || got[1].Partitions[1].Size != 1<<32 {
		t.Errorf("%+v", got)
	}
}

// fisImage is a directory with entries of name, address and size.
func fisImage(order binary.ByteOrder, entries ...[3]any) []byte {
	b := make([]byte, 0x1000)
	for i := range b {
		b[i] = 0xff
	}
	for i, e := range entries {
		p := b[i*256:]
		clear(p[:256])
		copy(p, e[0].(string))
		order.PutUint32(p[16:], uint32(e[1].(int)))
		order.PutUint32(p[24:], uint32(e[2].(int)))
		order.PutUint32(p[32:], uint32(e[2].(int)/2))
	}
	return b
}

func TestFIS(t *testing.T) {
	entries := [][3]any{{"RedBoot", 0xbfc00000, 0x30000}, {"linux kernel", 0xbfc30000, 0x100000}, {"FIS directory", 0xbffe0000, 0x1000}, {"RedBoot config", 0xbfff0000, 0x1000}}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		b := fisImage(order, entries...)
		o := unpacktest.OpenBytes(t, FIS, append(b, "more"...))
		want := "redboot:0x30000@0xbfc00000(RedBoot),0x100000@0xbfc30000(linux_kernel),0x1000@0xbffe0000(FIS_directory),0x1000@0xbfff0000(RedBoot_config)"
		if o.Info["partitions"] != want || o.Info["directory at"] != "0xbffe0000" || o.Size != 4*256 {
			t.Errorf("%d %v", o.Size, o.Info)
		}
		for _, at := range []int{256 + 24, 16, 512 + 32} {
			bad := append([]byte(nil), b...)
			copy(bad[at:], "\xff\xff\xff\xff")
			if o, err := FIS.Open(unpacktest.Input(bad)); err == nil && strings.Contains(o.Info["partitions"], "ffffffff") {
				t.Errorf("at %d: %v", at, o.Info)
			}
		}
	}
	for _, b := range [][]byte{fisImage(binary.LittleEndian, entries[0], entries[1]), fisImage(binary.LittleEndian, entries[2]), make([]byte, 4096), nil} {
		if _, err := FIS.Open(unpacktest.Input(b)); err != unpack.ErrNotThis {
			t.Error(err)
		}
	}
}

func FuzzFIS(f *testing.F) {
	unpacktest.Fuzz(f, FIS, fisImage(binary.BigEndian, [3]any{"RedBoot", 0, 0x30000}, [3]any{"FIS directory", 0x3f0000, 0x1000}))
}
