package inventory

import (
	"context"
	"slices"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// TestBootFirmware: microcode is listed by its processor, though nobody can read
// it; a module of a firmware volume has the version that its file states.
func TestBootFirmware(t *testing.T) {
	program := make([]byte, 0x400) // a PE file without sections
	copy(program, "MZ")
	program[0x3c] = 0x40
	copy(program[0x40:], "PE\x00\x00\x64\x86")
	program[0x54], program[0x56] = 240, 0x22
	copy(program[0x58:], "\x0b\x02")
	program[0x58+108] = 16
	o := &unpack.Object{Format: "directory", System: true, Entries: []unpack.Entry{
		{Path: "0-cpu.bin", Mode: 0o644, Data: unpack.Slice("x"), Err: unpack.ErrEncrypted, Xattrs: map[string]string{"cpu.maker": "Intel", "cpu.signature": "906ea", "microcode.revision": "0xf4", "microcode.date": "2023-02-23"}},
		{Path: "DxeCore/DxeCore.efi", Mode: 0o644, Data: unpack.Slice(program), Xattrs: map[string]string{"uefi.guid": "D6A2CB7F-6A18-4E2F-B43B-9920A733700A", "uefi.type": "dxe core", "uefi.version": "1.2"}},
	}}
	p, err := product.OpenTree(context.Background(), "product", o, Patterns(), unpack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := Components(p)
	for name, version := range map[string]string{"microcode-intel-906ea": "0xf4", "DxeCore": "1.2"} {
		if !slices.ContainsFunc(list, func(c doorward.Component) bool { return c.Name == name && c.Version == version }) {
			t.Errorf("%s %s is not listed: %+v", name, version, list)
		}
	}
}
