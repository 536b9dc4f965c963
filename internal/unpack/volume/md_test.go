package volume

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// makeMD1 is a member with a superblock of version 1 at a place; its data, of so
// many sectors, begin at another.
func makeMD1(size int, at, dataAt, sectors int, level int32, disks uint32, number uint16) []byte {
	le := binary.LittleEndian
	b := unpacktest.Noise(1, size)
	s := b[at : at+512]
	clear(b[at : at+4096])
	copy(s, mdMagic)
	le.PutUint32(s[4:], 1)
	copy(s[16:], "0123456789abcdefhost:data")
	le.PutUint64(s[64:], 1700000000)
	le.PutUint32(s[72:], uint32(level))
	le.PutUint64(s[80:], uint64(sectors))
	if level != 1 {
		le.PutUint32(s[88:], 128)
	}
	le.PutUint32(s[92:], disks)
	le.PutUint64(s[128:], uint64(dataAt/512))
	le.PutUint64(s[136:], uint64(sectors))
	le.PutUint64(s[144:], uint64(at/512))
	copy(s[168:], "fedcba9876543210")
	le.PutUint64(s[192:], 1700000001)
	le.PutUint64(s[200:], 17)
	le.PutUint64(s[208:], ^uint64(0))
	le.PutUint32(s[160:], 1) // the second of the roles
	le.PutUint32(s[220:], 5)
	for i, role := range []uint16{0, number, 0xffff, 0xffff, 0xfffe} {
		le.PutUint16(s[256+2*i:], role)
	}
	sum := uint64(0)
	for i := 0; i < 264; i += 4 {
		sum += uint64(le.Uint32(s[i:]))
	}
	sum += uint64(le.Uint16(s[264:]))
	le.PutUint32(s[216:], uint32(sum)+uint32(sum>>32))
	return b
}

// makeMD0 is a member with a superblock of version 0.90.
func makeMD0(size int, order binary.ByteOrder, level, disks uint32) []byte {
	b := unpacktest.Noise(2, size)
	at := size&^65535 - 65536
	s := b[at : at+4096]
	clear(s)
	put := func(i int, v uint32) { order.PutUint32(s[4*i:], v) }
	for i, v := range map[int]uint32{0: 0xa92b4efc, 2: 90, 5: 1, 6: 1700000000, 7: level, 8: uint32(at / 1024), 9: disks, 10: disks, 13: 2, 14: 3, 15: 4, 32: 1700000001, 33: 1, 34: disks, 35: disks,
		128: 0, 129: 8, 130: 1, 131: 0, 132: 6, 160: 1, 161: 8, 162: 17, 163: 1, 164: 6, 992: 1, 993: 8, 994: 17, 995: 1, 996: 6} {
		put(i, v)
	}
	sum := uint64(0)
	for i := range 1024 {
		sum += uint64(order.Uint32(s[4*i:]))
	}
	put(38, uint32(sum)+uint32(sum>>32))
	return b
}

func TestMD(t *testing.T) {
	const size = 4 << 20
	end := (size/512 - 16) &^ 7 * 512
	for _, x := range []struct {
		name    string
		reader  *unpack.Reader
		b       []byte
		at, n   int // of the content; n 0 if it is unread
		examine string
	}{
		{"1.2", MD, makeMD1(size, 4096, 1<<20, 4096, 1, 2, 1), 1 << 20, 2 << 20, "raid1"},
		{"1.1", MD, makeMD1(size, 0, 1<<20, 4096, 1, 2, 1), 1 << 20, 2 << 20, "raid1"},
		{"1.0", MDEnd, makeMD1(size, end, 0, 8000, 1, 2, 1), 0, 8000 * 512, "raid1"},
		{"1.2 RAID 5", MD, makeMD1(size, 4096, 1<<20, 4096, 5, 3, 2), 0, 0, "raid5"},
		{"1.2 spare", MD, makeMD1(size, 4096, 1<<20, 4096, 1, 2, 0xffff), 0, 0, "raid1"},
		{"1.2 RAID 0 of one", MD, makeMD1(size, 4096, 1<<20, 4096, 0, 1, 0), 1 << 20, 2 << 20, "raid0"},
		{"0.90", MDEnd, makeMD0(size, binary.LittleEndian, 1, 2), 0, size - 65536, "raid1"},
		{"0.90 RAID 5", MDEnd, makeMD0(size, binary.LittleEndian, 5, 2), 0, 0, "raid5"},
		{"0.90 of another byte order", MDEnd, makeMD0(size, binary.BigEndian, 1, 2), 0, size - 65536, ""},
	} {
		o := unpacktest.OpenBytes(t, x.reader, x.b)
		switch {
		case x.n == 0:
			if len(o.Parts) > 0 || len(o.Gaps) != 1 || o.Gaps[0].Size != size {
				t.Errorf("%s: %+v", x.name, o)
			}
		case len(o.Parts) != 1 || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), x.b[x.at:x.at+x.n]):
			t.Errorf("%s: the content differs", x.name)
		}
		if x.examine == "" {
			continue
		}
		_, devices := loops(t, size>>20)
		mdadm := testtool.Need(t, "mdadm")
		testtool.Run(t, "", "dd", "if="+unpacktest.WriteFile(t, t.TempDir(), "b", x.b), "of="+devices[0], "bs=1M", "conv=fsync")
		out, err := exec.Command(mdadm, "--examine", devices[0]).CombinedOutput()
		if s := string(out); err != nil || !strings.Contains(s, "- correct") || !strings.Contains(s, x.examine) {
			t.Errorf("%s: mdadm: %v\n%s", x.name, err, s)
		}
	}
	b := makeMD1(size, 4096, 1<<20, 4096, 1, 2, 1)
	unpacktest.Damage(t, MD, b, unpacktest.Damaged{Rounds: 60, From: 4096, To: 4096 + 266})
	if o, err := MD.Open(unpacktest.Input(b[:2<<20])); err != nil || o.Err == nil {
		t.Error("cut off in silence", err)
	}
}

// TestLUKS has both versions as cryptsetup formats them.
func TestLUKS(t *testing.T) {
	testtool.Need(t, "cryptsetup")
	for version, format := range map[string]string{"luks1": "luks 1", "luks2": "luks 2"} {
		dir := t.TempDir()
		img := unpacktest.WriteFile(t, dir, "img", make([]byte, 20<<20))
		key := unpacktest.WriteFile(t, dir, "key", []byte("secret"))
		testtool.Run(t, dir, "cryptsetup", "luksFormat", "-q", "--type", version, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", img, key)
		o := unpacktest.Open(t, LUKS, img)
		if o.Format != format || len(o.Parts) > 0 || len(o.Gaps) != 1 || o.Gaps[0].Reason != "encrypted" || len(o.Info["UUID"]) != 36 {
			t.Errorf("%s: %+v", version, o)
		}
		if version == "luks2" {
			b := testtool.Run(t, dir, "cat", img)
			b[5000] ^= 1
			if o, err := LUKS.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
				t.Error("a damaged header in silence", err)
			}
		}
	}
}

// TestKnown: file systems that nobody reads are called by their names.
func TestKnown(t *testing.T) {
	testtool.Need(t, "mkfs.nilfs2")
	img := unpacktest.WriteFile(t, t.TempDir(), "img", make([]byte, 160<<20))
	testtool.Run(t, "", "mkfs.nilfs2", "-q", "-L", "data", img)
	nilfs := testtool.Run(t, "", "head", "-c", "8192", img)
	place := func(at int, text string) []byte {
		b := make([]byte, 64<<10)
		copy(b[at:], text)
		return b
	}
	zfs := "\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x24\x00\x00\x00\x20\x00\x00\x00\x07version\x00\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x13\x88" +
		"\x00\x00\x00\x24\x00\x00\x00\x20\x00\x00\x00\x04name\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x05rpool\x00\x00\x00"
	refs := place(3, "ReFS\x00\x00\x00\x00\x00\x00\x00\x00\x00FSRS")
	for _, x := range []struct {
		reader *unpack.Reader
		b      []byte
		info   string
	}{
		{NILFS2, nilfs, "data"},
		{Bcachefs, place(4096+24, Bcachefs.Magics[1].Bytes), ""},
		{ZFS, place(16<<10, zfs), "rpool"},
		{ReFS, refs, ""},
	} {
		if !x.reader.Fits(unpack.Slice(x.b), x.b[:4096]) {
			t.Errorf("%s: no candidate", x.reader.Name)
		}
		o := unpacktest.OpenBytes(t, x.reader, x.b)
		if len(o.Gaps) != 1 || o.Gaps[0].Reason != "unsupported" || o.Gaps[0].Size != int64(len(x.b)) || o.Info["label"]+o.Info["pool"] != x.info {
			t.Errorf("%s: %+v", x.reader.Name, o)
		}
	}
	nilfs[1024+24]++
	if _, err := NILFS2.Open(unpacktest.Input(nilfs)); err == nil {
		t.Error("a damaged superblock is taken")
	}
}

func FuzzMD(f *testing.F) {
	const size = 256 << 10
	seeds := [][]byte{makeMD1(size, 4096, 8192, 100, 1, 2, 1), makeMD0(size, binary.LittleEndian, 1, 2)}
	either := &unpack.Reader{Name: "md", Open: func(in *unpack.Input) (*unpack.Object, error) {
		if o, err := openMD(in); err == nil {
			return o, nil
		}
		return openMDEnd(in)
	}}
	unpacktest.Fuzz(f, either, seeds...)
}
