package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
	"github.com/doorward/doorward/internal/unpack/unrar"
)

// rar4Maker writes archives of version 4.
type rar4Maker struct{ b []byte }

func newRar4(flags uint16) *rar4Maker {
	m := &rar4Maker{[]byte(rar4Magic)}
	m.block(rar4Main, flags, make([]byte, 6))
	return m
}

func (m *rar4Maker) block(kind byte, flags uint16, body []byte) {
	le := binary.LittleEndian
	h := le.AppendUint16(le.AppendUint16([]byte{kind}, flags), uint16(7+len(body)))
	h = append(h, body...)
	m.b = append(le.AppendUint16(m.b, uint16(crc32.ChecksumIEEE(h))), h...)
}

func (m *rar4Maker) file(kind byte, flags uint16, name string, plain, packed []byte, mode uint32, behind ...byte) {
	le := binary.LittleEndian
	method := byte(0x33)
	if packed == nil {
		packed, method = plain, 0x30
	}
	body := le.AppendUint32(le.AppendUint32(nil, uint32(len(packed))), uint32(len(plain)))
	body = le.AppendUint32(append(body, 3), crc32.ChecksumIEEE(plain))
	body = append(le.AppendUint32(body, 0x58210000), 29, method)
	body = le.AppendUint32(le.AppendUint16(body, uint16(len(name))), mode)
	m.block(kind, 0x8000|flags, append(append(body, name...), behind...))
	m.b = append(m.b, packed...)
}

func (m *rar4Maker) end() []byte {
	m.block(rar4End, 0x4000, nil)
	return m.b
}

var (
	rarText  = bytes.Repeat([]byte("some text that goes on\n"), 300)
	rarOther = append([]byte("another start, "), rarText[:3000]...)
)

func rar4Sample() ([]byte, map[string][]byte) {
	m := newRar4(0)
	m.file(rar4File, 0, "stored.bin", rarOther, nil, 0o100755)
	m.file(rar4Service, 0, "CMT", []byte("a comment"), unpacktest.PackRar3(unpacktest.RarMatches([]byte("a comment"), nil), nil), 0)
	m.file(rar4File, 0, "dir\\packed.txt", rarText, unpacktest.PackRar3(unpacktest.RarMatches(rarText, nil), nil), 0o100644)
	m.file(rar4File, 0xe0, "dir", nil, []byte{}, 0o40700)
	m.file(rar4File, 0, "empty", nil, []byte{}, 0o100600)
	m.file(rar4File, 0x200, "b?ro\x00\x00\x31b\x00r\x00"[:4]+"\x00\x00\x04b\xfcro", []byte("u"), nil, 0o100644)
	m.file(rar4File, 0, "link", []byte("dir/packed.txt"), nil, 0o120777)
	m.file(rar4Service, 0, "STM", []byte("hidden"), nil, 0, []byte(":\x00z\x00o\x00n\x00e\x00")...)
	return m.end(), map[string][]byte{"stored.bin": rarOther, "dir/packed.txt": rarText, "empty": nil, "büro": []byte("u"), "link:zone": []byte("hidden")}
}

// rar5File adds a file to an archive; records go into its extra area.
func rar5Add(b []byte, name string, plain, packed []byte, solid bool, records ...[]byte) []byte {
	method := 3 << 7
	if packed == nil {
		packed, method = plain, 0
	}
	if solid {
		method |= 0x40
	}
	var extra []byte
	for _, r := range records {
		extra = append(binary.AppendUvarint(extra, uint64(len(r))), r...)
	}
	fields := []any{2, 2}
	if extra != nil {
		fields = []any{2, 3, len(extra)}
	}
	fields = append(fields, len(packed), 6, len(plain), 0o100644, uint32(1700000000), crc32.ChecksumIEEE(plain), method, 1, len(name), name, extra)
	return append(unpacktest.RarBlock5(b, fields...), packed...)
}

func rar5Sample() ([]byte, map[string][]byte) {
	blake := unrar.NewBLAKE2sp()
	blake.Write(rarOther)
	b := unpacktest.Rar5()
	b = rar5Add(b, "stored.bin", rarOther, nil, false, unpacktest.RarFields5(2, 0, blake.Sum(nil)))
	b = rar5Add(b, "dir/packed.txt", rarText, unpacktest.PackRar5(unpacktest.RarMatches(rarText, nil), len(rarText), nil), false)
	b = rar5Add(b, "solid.txt", rarOther, unpacktest.PackRar5(unpacktest.RarMatches(rarOther, rarText), len(rarOther), nil), true, unpacktest.RarFields5(2, 0, blake.Sum(nil)), unpacktest.RarFields5(6, 12, 1000, 100))
	b = append(unpacktest.RarBlock5(b, 3, 3, 6, 4, 6, 4, 0, uint32(0), crc32.ChecksumIEEE([]byte("zone")), 0, 1, 3, "STM", 5, 7, ":ads"), "zone"...)
	b = rar5Add(b, "link", nil, []byte{}, false, unpacktest.RarFields5(5, 1, 0, 14, "dir/packed.txt"))
	b = rar5Add(b, "hard", nil, []byte{}, false, unpacktest.RarFields5(5, 4, 0, 14, "dir/packed.txt"))
	b = unpacktest.RarBlock5(b, 5, 0, 0)
	return b, map[string][]byte{"stored.bin": rarOther, "dir/packed.txt": rarText, "solid.txt": rarOther, "hard": rarText, "solid.txt:ads": []byte("zone")}
}

func TestRar(t *testing.T) {
	for _, sample := range []func() ([]byte, map[string][]byte){rar4Sample, rar5Sample} {
		b, want := sample()
		o := unpacktest.OpenBytes(t, Rar, append(bytes.Clone(b), "behind"...))
		if o.Size != int64(len(b)) {
			t.Errorf("%s: %d of %d bytes", o.Format, o.Size, len(b))
		}
		tree := unpack.NewTree(o.Entries)
		for name, content := range want {
			e := tree.Entry(name)
			if e == nil || e.Err != nil {
				t.Errorf("%s: %q is missing: %+v", o.Format, name, e)
				continue
			}
			var got []byte
			if e.Data != nil {
				var err error
				if got, err = unpack.ReadAll(e.Data, 1<<20); err != nil {
					t.Errorf("%s: %q: %v", o.Format, name, err)
				}
			}
			if !bytes.Equal(got, content) {
				t.Errorf("%s: %q is %.60q", o.Format, name, got)
			}
		}
		if e := tree.Entry("link"); e.Mode&fs.ModeSymlink == 0 || e.Link != "dir/packed.txt" {
			t.Errorf("%s: %v %q", o.Format, e.Mode, e.Link)
		}
		if o.Format == "rar 4" {
			if e := tree.Entry("dir"); e.Mode != fs.ModeDir|0o700 || o.Info["comment"] != "a comment" {
				t.Errorf("%v, %q", e.Mode, o.Info)
			}
		} else if e := tree.Entry("solid.txt"); e.UID != 1000 || e.GID != 100 || len(inodes(o)) != 1 {
			t.Errorf("%+v, %v", e, inodes(o))
		}
		unpacktest.Damage(t, Rar, b, unpacktest.Damaged{Rounds: 500, From: 8})
	}
}

// TestRarEncrypted has an encrypted list of files, and encrypted files.
func TestRarEncrypted(t *testing.T) {
	lists := map[string][]byte{
		"4": append(newRar4(0x80).b, unpacktest.Noise(1, 500)...),
		"5": append(unpacktest.RarBlock5([]byte(rar5Magic), 4, 0, 0, 0, 15, string(make([]byte, 16))), unpacktest.Noise(1, 500)...),
	}
	for name, b := range lists {
		o := unpacktest.OpenBytes(t, Rar, b)
		if len(o.Gaps) != 1 || o.Gaps[0].Reason != "encrypted" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	m := newRar4(0)
	m.file(rar4File, 4, "secret", rarText, rarText, 0o100644)
	m.file(rar4File, 0x10, "behind it", rarText, rarText, 0o100644)
	o := unpacktest.OpenBytes(t, Rar, m.end())
	for _, e := range o.Entries {
		if !errors.Is(e.Err, unpack.ErrEncrypted) {
			t.Errorf("%s: %v", e.Path, e.Err)
		}
	}
	b := rar5Add(unpacktest.Rar5(), "secret", rarText, rarText, false, unpacktest.RarFields5(1, 0, 0, 15))
	if o = unpacktest.OpenBytes(t, Rar, unpacktest.RarBlock5(b, 5, 0, 0)); !errors.Is(o.Entries[0].Err, unpack.ErrEncrypted) {
		t.Errorf("%v", o.Entries[0].Err)
	}
}

// TestRarVolumes reads of one volume what is whole in it.
func TestRarVolumes(t *testing.T) {
	m := newRar4(1)
	m.file(rar4File, 1, "from before", rarText, rarText[:100], 0o100644)
	m.file(rar4File, 0, "whole", rarText, nil, 0o100644)
	m.file(rar4File, 2, "goes on", rarText, rarText[:100], 0o100644)
	o := unpacktest.OpenBytes(t, Rar, m.end())
	for _, e := range o.Entries {
		if whole := e.Path == "whole"; whole != (e.Err == nil) || !whole && !errors.Is(e.Err, unpack.ErrUnsupported) {
			t.Errorf("%s: %v", e.Path, e.Err)
		}
	}
	if o.Info["volumes"] == "" {
		t.Errorf("%v", o.Info)
	}
}

// TestRarNotThis refuses marks without a block behind them.
func TestRarNotThis(t *testing.T) {
	for _, s := range []string{rar4Magic, rar5Magic, rar4Magic + strings.Repeat("\x73", 100), rar5Magic + strings.Repeat("\x01", 100)} {
		if _, err := Rar.Open(unpacktest.Input([]byte(s))); err != unpack.ErrNotThis {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestRarBomb counts what a file says that it holds.
func TestRarBomb(t *testing.T) {
	plain := make([]byte, 1<<20)
	b := rar5Add(unpacktest.Rar5(), "bomb", plain, unpacktest.PackRar5(unpacktest.RarMatches(plain, nil), len(plain), nil), false)
	b = unpacktest.RarBlock5(b, 5, 0, 0)
	in := unpacktest.Input(b)
	in.Budget = unpack.NewBudget(unpack.Limits{Memory: 1 << 20})
	o, err := Rar.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unpack.ReadAll(o.Entries[0].Data, 1<<30); !errors.Is(err, unpack.ErrLimit) {
		t.Error(err)
	}
}

func FuzzRar(f *testing.F) {
	four, _ := rar4Sample()
	five, _ := rar5Sample()
	unpacktest.Fuzz(f, Rar, four, five)
}
