package firmware

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// mkPE is a program with nothing but some bytes in it.
func mkPE(subsystem uint16, content string) string {
	b := make([]byte, 0x200)
	copy(b, "MZ")
	b[0x3c] = 0x40
	copy(b[0x40:], "PE\x00\x00\x64\x86")
	binary.LittleEndian.PutUint16(b[0x9c:], subsystem)
	return string(b) + content
}

// mkWPBT is a table; Windows wants layout and kind 1.
func mkWPBT(layout byte) string {
	b := make([]byte, 52)
	copy(b, "WPBT\x34\x00\x00\x00\x01\x00MAKER MAKERTBL")
	b[48], b[49] = layout, 1
	return string(b)
}

func doorsOfModules(t *testing.T, modules map[string]string) []string {
	t.Helper()
	o := &unpack.Object{Format: "efi-volume", System: true}
	for path, text := range modules {
		id, name, _ := strings.Cut(path, " ")
		o.Entries = append(o.Entries, unpack.Entry{Path: name, Mode: 0o644, Data: unpack.Slice(text), Xattrs: map[string]string{"uefi.guid": id}})
	}
	p, err := product.OpenTree(context.Background(), "product", o, BootFirmware.Patterns, unpack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := detect.Run(context.Background(), []*Detector{BootFirmware}, p, 1)
	return lines(r.Doors, "what")
}

// TestIPXE: a ROM of iPXE boots from the network, and a key opens its shell; with
// a script of its own it boots what that names.
func TestIPXE(t *testing.T) {
	for text, want := range map[string]string{
		"http://ipxe.org\x00Press Ctrl-B for the iPXE command line...": "debug medium what=boot-shell, update low what=network-boot",
		"http://ipxe.org\x00": "update low what=network-boot",
		"http://ipxe.org\x00#!ipxe\nchain http://boot.maker.com/x\n\x00": "update critical what=network-boot",
	} {
		got := doorsOfModules(t, map[string]string{"A a.efi": mkPE(11, text)})
		slices.Sort(got)
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%q: %s", text, s)
		}
	}
}

// TestInstalls: firmware that puts programs into the system, and what looks like it.
func TestInstalls(t *testing.T) {
	wide := func(s string) string { return utf16(s) + "\x00\x00" }
	for _, c := range []struct {
		modules map[string]string
		want    string
	}{
		{map[string]string{"A a.efi": mkPE(11, "...."+mkWPBT(1))}, "update medium what=wpbt"},
		{map[string]string{"A a.efi": mkPE(11, "...."+mkWPBT(7))}, ""},
		{map[string]string{"A a.efi": mkPE(11, "WPBT SLIC"), "B b.exe": mkPE(1, "")}, "update medium what=wpbt"},
		{map[string]string{"A a.efi": mkPE(11, "WPBT SLIC"), "B b.efi": mkPE(11, "")}, ""},
		{map[string]string{"A a.efi": mkPE(11, wide("\\Windows\\System32\\autochk.exe")+"NTFS    ")}, "update medium what=os-install"},
		{map[string]string{"A a.efi": mkPE(11, wide("autochk.exe")), "B ntfs.efi": mkPE(11, wide("NTFS"))}, "update medium what=os-install"},
		{map[string]string{"A a.efi": mkPE(11, wide("autochk.exe"))}, ""},
		{map[string]string{"A a.efi": mkPE(11, wide("NTFS"))}, ""},
		{map[string]string{"8FEEECF1-BCFD-4A78-9231-4801566B3567 a.efi": mkPE(10, "")}, "update medium what=os-install"},
	} {
		if got := strings.Join(doorsOfModules(t, c.modules), ", "); got != c.want {
			t.Errorf("%q: %s", c.want, got)
		}
	}
}

// TestBootFirmwareFacts: what readers tell of a board becomes a door.
func TestBootFirmwareFacts(t *testing.T) {
	for text, want := range map[string]string{
		"# AMD soft fuses\nfuses 0x1\nsecure debug unlocked\n":          "debug medium what=jtag",
		"# AMD soft fuses\nfuses 0x8000\n":                              "",
		"# Google binary block\nflags 0x8\ndeveloper mode is forced\n":  "privilege low what=secure-boot",
		"# Google binary block\nflags 0x20\nroll-back is not checked\n": "",
	} {
		got := lines(doorsOf(t, BootFirmware, file{path: "facts.txt", text: text}), "what")
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %v", text, got)
		}
	}
}
