package volume

import (
	"bytes"
	"encoding/binary"
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

// loops attaches empty files of so many megabytes as block devices.
func loops(t testing.TB, megabytes ...int64) (files, devices []string) {
	t.Helper()
	losetup := testtool.Need(t, "losetup")
	dir := t.TempDir()
	for i, n := range megabytes {
		f := filepath.Join(dir, fmt.Sprint("disk", i))
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(f, n<<20); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(losetup, "-f", "--show", f).CombinedOutput()
		if err != nil {
			t.Skipf("no loop devices here: %s", out)
		}
		dev := strings.TrimSpace(string(out))
		t.Cleanup(func() { exec.Command(losetup, "-d", dev).Run() })
		files, devices = append(files, f), append(devices, dev)
	}
	return files, devices
}

// lvmDisks makes a volume group by lvm, which needs no device mapper as long as
// nothing is activated, and fills its data with noise.
func lvmDisks(t testing.TB, disks int, commands ...string) [][]byte {
	t.Helper()
	testtool.Need(t, "lvm")
	sizes := []int64{40, 24, 24}[:disks]
	files, devices := loops(t, sizes...)
	run := func(line string) {
		t.Helper()
		args := strings.Fields(strings.ReplaceAll(line, "DISKS", strings.Join(devices, " ")))
		for i, d := range devices {
			for k := range args {
				args[k] = strings.ReplaceAll(args[k], fmt.Sprint("DISK", i), d)
			}
		}
		args = append([]string{args[0], "--driverloaded", "n", "--devices", strings.Join(devices, ","), "--config", "backup{backup=0 archive=0}"}, args[1:]...)
		testtool.Run(t, "", "lvm", args...)
	}
	for _, d := range devices {
		run("pvcreate -ff -y " + d)
	}
	run("vgcreate -s 1M vg DISKS")
	for _, c := range commands {
		run(c)
	}
	var list [][]byte
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[1<<20:], unpacktest.Noise(int64(i), len(b)-1<<20))
		list = append(list, b)
	}
	return list
}

const lvmNew = "lvcreate -an -Zn -Wn "

// lvmWant is a volume of extents of a disk, by their numbers.
func lvmWant(b []byte, extents ...int) (want []byte) {
	for _, e := range extents {
		want = append(want, b[(1+e)<<20:(2+e)<<20]...)
	}
	return want
}

func namedPart(t testing.TB, o *unpack.Object, name string) unpack.Part {
	t.Helper()
	var names []string
	for _, p := range o.Parts {
		if p.Name == name {
			return p
		}
		names = append(names, p.Name)
	}
	t.Fatalf("no part %q in %v, gaps %v", name, names, o.Gaps)
	return unpack.Part{}
}

func TestLVM(t *testing.T) {
	b := lvmDisks(t, 1, lvmNew+"-l 3 -n root vg", lvmNew+"-l 1 -n swap-1 vg", "lvextend -l +2 vg/root", lvmNew+"-l 2 -n last vg", "lvchange --addtag @a vg/last")[0]
	o := unpacktest.OpenBytes(t, LVM, append(b, "behind"...))
	if o.Size != int64(len(b)) || len(o.Gaps) > 0 || o.Info["volume group"] != "vg" {
		t.Fatalf("%+v", o)
	}
	for name, extents := range map[string][]int{"root": {0, 1, 2, 4, 5}, "swap-1": {3}, "last": {6, 7}, "unallocated@0x900000": nil} {
		p := namedPart(t, o, name)
		if extents != nil && !bytes.Equal(unpacktest.PartBytes(t, p), lvmWant(b, extents...)) {
			t.Errorf("%s differs", name)
		}
	}
	if len(o.Parts) != 4 {
		t.Errorf("%d parts", len(o.Parts))
	}
	// Damage is seen where there are checksums: label and metadata.
	unpacktest.Damage(t, LVM, b, unpacktest.Damaged{Rounds: 25, To: 1 << 14})

	cut, err := LVM.Open(unpacktest.Input(b[:4<<20]))
	if err != nil || cut.Err == nil {
		t.Errorf("cut off: %v %+v", err, cut)
	}
}

// TestLVMRing renames a volume until the text has gone round its ring.
func TestLVMRing(t *testing.T) {
	commands := []string{lvmNew + "-l 1 -n a0 vg"}
	for i := range 5 {
		commands = append(commands, fmt.Sprintf(lvmNew+"-l 1 -n b%d vg", i))
	}
	b := lvmDisks(t, 1, commands...)[0]
	v := &lvm{in: unpacktest.Input(b), o: &unpack.Object{Info: map[string]string{}}}
	v.readLabel()
	text, err := v.metadata()
	if err != nil {
		t.Fatal(err)
	}
	// The same text, moved so that it ends at the ring's beginning.
	at, size := v.areas[0][0], v.areas[0][1]
	area := b[at : at+size]
	off := size - 700
	copy(area[off:], text[:700])
	copy(area[512:], text[700:])
	putLE(area[40:], uint64(off))
	putLE32(area, lvmSum(area[4:512]))
	o := unpacktest.OpenBytes(t, LVM, b)
	if !bytes.Equal(unpacktest.PartBytes(t, namedPart(t, o, "b3")), lvmWant(b, 4)) {
		t.Error("b3 differs")
	}
}

func TestLVMOfSeveralDisks(t *testing.T) {
	disks := lvmDisks(t, 2,
		lvmNew+"-l 4 -n here vg DISK0", lvmNew+"-l 4 -n there vg DISK1", lvmNew+"-i 2 -I 64k -l 4 -n striped vg DISK0 DISK1")
	o := unpacktest.OpenBytes(t, LVM, disks[0])
	if !bytes.Equal(unpacktest.PartBytes(t, namedPart(t, o, "here")), lvmWant(disks[0], 0, 1, 2, 3)) {
		t.Error("here differs")
	}
	var notes []string
	for _, g := range o.Gaps {
		notes = append(notes, g.Note)
	}
	if all := strings.Join(notes, "\n"); len(notes) != 2 || !strings.Contains(all, "there: unsupported: it lies on the physical volume pv1") || !strings.Contains(all, "striped: ") {
		t.Errorf("%q", notes)
	}
	if o := unpacktest.OpenBytes(t, LVM, disks[1]); !bytes.Equal(unpacktest.PartBytes(t, namedPart(t, o, "there")), lvmWant(disks[1], 0, 1, 2, 3)) {
		t.Error("there differs")
	}
}

// openLVMText opens a disk of lvm with another text.
func openLVMText(t *testing.T, b []byte, volumes string) *unpack.Object {
	t.Helper()
	v := &lvm{in: unpacktest.Input(b), o: &unpack.Object{Info: map[string]string{}}}
	v.readLabel()
	group, top, err := parseLVM([]byte("vg { extent_size = 2048 # sectors\nphysical_volumes { pv0 { id = \"" + v.uuid + "\" pe_start = 2048 pe_count = 39 } }\nlogical_volumes {" + volumes + "} }"))
	if err != nil || v.readGroup(group, top) != nil {
		t.Fatal(err, v.o.Err)
	}
	return v.o
}

// TestLVMKinds has volumes that lvm makes with a device mapper only.
func TestLVMKinds(t *testing.T) {
	b := lvmDisks(t, 1, lvmNew+"-l 8 -n whole vg")[0]
	o := openLVMText(t, b, `
	s { status = ["VISIBLE"] segment_count = 1 segment1 { start_extent = 0 extent_count = 4 type = "striped" stripe_count = 2 stripe_size = 128
		stripes = [ "pv0", 1, "pv0", 10 ] } }
	m { status = ["VISIBLE"] segment_count = 1 segment1 { start_extent = 0 extent_count = 2 type = "raid1" device_count = 2
		raids = [ "m_rmeta_0", "m_rimage_0", "m_rmeta_1", "m_rimage_1" ] } }
	m_rmeta_0 { status = ["READ"] segment_count = 1 segment1 { start_extent = 0 extent_count = 1 type = "striped" stripe_count = 1 stripes = [ "pv0", 20 ] } }
	m_rimage_0 { status = ["READ"] segment_count = 1 segment1 { start_extent = 0 extent_count = 2 type = "striped" stripe_count = 1 stripes = [ "pv0", 21 ] } }
	m_rmeta_1 { status = ["READ"] segment_count = 1 segment1 { start_extent = 0 extent_count = 1 type = "striped" stripe_count = 1 stripes = [ "pv9", 20 ] } }
	m_rimage_1 { status = ["READ"] segment_count = 1 segment1 { start_extent = 0 extent_count = 2 type = "striped" stripe_count = 1 stripes = [ "pv9", 21 ] } }
	thin1 { status = ["VISIBLE"] segment_count = 1 segment1 { start_extent = 0 extent_count = 900 type = "thin" thin_pool = "pool" device_id = 1 } }
	snap { status = ["VISIBLE"] segment_count = 1 segment1 { start_extent = 0 extent_count = 1 type = "striped" stripe_count = 1 stripes = [ "pv0", 30 ] } }
	snapshot0 { status = ["READ"] segment_count = 1 segment1 { start_extent = 0 extent_count = 4 type = "snapshot" chunk_size = 8 origin = "s" cow_store = "snap" } }`)
	var want []byte
	for i := range 2 << 20 / (64 << 10) {
		for _, first := range []int{1, 10} {
			at := (1+first)<<20 + i*64<<10
			want = append(want, b[at:at+64<<10]...)
		}
	}
	if !bytes.Equal(unpacktest.PartBytes(t, namedPart(t, o, "s")), want) {
		t.Error("the stripes differ")
	}
	if !bytes.Equal(unpacktest.PartBytes(t, namedPart(t, o, "m")), lvmWant(b, 21, 22)) {
		t.Error("the mirror differs")
	}
	if len(o.Gaps) != 2 || o.Gaps[0].Note != "thin1: unsupported: a thin volume" || o.Gaps[1].Note != "snap: the changes of a snapshot of s" {
		t.Errorf("%+v", o.Gaps)
	}
}

func TestLVMText(t *testing.T) {
	for _, bad := range []string{"", "vg", "vg {", "vg { a = }", "vg { a = [ 1, }", "vg { a = \"x }", "vg { b { } b { } }", "= 1", "vg { { } }", strings.Repeat("a {", 30)} {
		if _, n, err := parseLVM([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, n)
		}
	}
	_, n, err := parseLVM([]byte("vg {\na = \"q\\\"uote # {\" # comment }\nb = [1,\n\"two\"]\nc{d=5}}\n\x00"))
	if err != nil || n.text("a") != `q"uote # {` || len(n.list("b")) != 2 || n.child("c").number("d") != 5 || n.child("x").child("y").number("z") != -1 {
		t.Errorf("%+v %v", n, err)
	}
}

// lvmByHand is a small volume, for fuzzing.
func lvmByHand(text string) []byte {
	uuid := "0123456789abcdefghijklmnopqrstuv"
	b := make([]byte, 16<<10)
	l := b[512:1024]
	copy(l, lvmLabel)
	putLE(l[8:], 1)
	putLE32(l[20:], 32)
	copy(l[24:], "LVM2 001"+uuid)
	putLE(l[64:], uint64(len(b)))
	putLE(l[72:], 8192)  // data
	putLE(l[104:], 2048) // metadata, behind the end of the data areas
	putLE(l[112:], 6144)
	putLE32(l[16:], lvmSum(l[20:]))
	a := b[2048:8192]
	copy(a[4:], lvmArea)
	putLE32(a[20:], 1)
	putLE(a[24:], 2048)
	putLE(a[32:], 6144)
	text = strings.ReplaceAll(text, "UUID", uuid)
	copy(a[512:], text)
	putLE(a[40:], 512)
	putLE(a[48:], uint64(len(text)))
	putLE32(a[56:], lvmSum([]byte(text)))
	putLE32(a, lvmSum(a[4:512]))
	copy(b[8192:], unpacktest.Noise(1, 8192))
	return b
}

const lvmSmall = `vg { extent_size = 2 physical_volumes { pv0 { id = "UUID" pe_start = 16 pe_count = 8 } }
logical_volumes { root { status = ["VISIBLE"] segment_count = 1 segment1 { start_extent = 0 extent_count = 2 type = "striped" stripe_count = 1 stripes = [ "pv0", 1 ] } } } }`

func FuzzLVM(f *testing.F) {
	f.Add(lvmSmall)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 5000 {
			return
		}
		o, err := LVM.Open(unpacktest.Input(lvmByHand(text)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range o.Parts {
			unpack.ReadSome(p.Data, 0, 1<<20)
		}
	})
}

func TestLVMByHand(t *testing.T) {
	b := lvmByHand(lvmSmall)
	o := unpacktest.OpenBytes(t, LVM, b)
	if !bytes.Equal(unpacktest.PartBytes(t, namedPart(t, o, "root")), b[9216:11264]) {
		t.Error("root differs")
	}
	for old, hostile := range map[string]string{"pe_count = 8": "pe_count = 1", `"pv0", 1 `: `"pv0", 7`, "extent_size = 2 ": "extent_size = 562949953421311 ", "extent_count = 2": "extent_count = 1125899906842", "id = \"UUID\"": "id = \"x\""} {
		o, err := LVM.Open(unpacktest.Input(lvmByHand(strings.Replace(lvmSmall, old, hostile, 1))))
		if err != nil || o.Err == nil && len(o.Gaps) == 0 {
			t.Errorf("%s: %v %+v", hostile, err, o)
		}
	}
}

func putLE(b []byte, v uint64)   { binary.LittleEndian.PutUint64(b, v) }
func putLE32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }
