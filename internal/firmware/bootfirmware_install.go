package firmware

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"strings"
	"sync"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// Firmware can put programs into the system that it boots: by a table of ACPI
// that Windows obeys (WPBT), or by writing to its file system.

const wpbtMark = "WPBT"

// Marks of modules that write to the file system of Windows: a driver for it,
// and names of programs that Windows starts by itself or of agents that are
// known to be written (Absolute's documents; published analyses of LoJax and
// MosaicRegressor).
var (
	ntfsMarks   = []string{"NTFS    ", utf16("NTFS")}
	agentMarks  = []string{"autochk.exe", "autoche.exe", "rpcnetp.exe"}
	startupMark = utf16("\\Start Menu\\Programs\\Startup")
)

func installMarks() []string {
	list := append([]string{wpbtMark, startupMark}, ntfsMarks...)
	for _, m := range agentMarks {
		list = append(list, m, utf16(m))
	}
	return list
}

//go:embed data/os-installers.txt
var osInstallers string

var knownInstallers = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(osInstallers) {
		if id, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			m[id] = name
		}
	}
	return m
})

// installDoor is a door by which firmware changes the system.
func installDoor(f *product.File, title, how string, at int64, what, note string) doorward.Door {
	d := doorward.Door{
		Kind: doorward.KindUpdate, Title: title, Reach: doorward.Local, Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Likely,
		Weight: doorward.Weigh(doorward.Change, doorward.Local, doorward.Open, false), References: []string{"T1542.001", "CWE-506"},
		Detail: doorward.Detail{"what": how, "path": f.Path, "signed": "unknown"}, Where: f.WhereAt(at),
		Evidence: []doorward.Evidence{{What: what, Offset: &at, Path: f.Path, Note: note}},
	}
	return d
}

// installs finds both ways.
func (b *bootFirmware) installs() {
	var writers, drivers []*product.File
	for _, f := range b.product.Files {
		if f.Deleted() {
			continue
		}
		b.wpbt(f)
		if f.Entry != nil && f.Entry.Xattrs["uefi.guid"] != "" && f.Type.Executable() {
			if name := knownInstallers()[f.Entry.Xattrs["uefi.guid"]]; name != "" {
				b.knownInstaller(f, name)
				continue
			}
		}
		if !f.Type.Executable() || !inFirmware(f) {
			continue
		}
		if hasMark(f, ntfsMarks) {
			drivers = append(drivers, f)
		}
		if _, at := agentIn(f); at >= 0 {
			writers = append(writers, f)
		}
	}
	b.out.Looked(doorward.KindUpdate, len(writers), "programs for the system")
	for _, f := range writers {
		if len(drivers) == 0 {
			continue
		}
		name, at := agentIn(f)
		note := "a module of the firmware names a program of Windows"
		if hasMark(f, ntfsMarks) {
			note += ", and holds a driver for its file system"
		} else {
			note += ", and " + drivers[0].Path + " is a driver for its file system"
		}
		d := installDoor(f, "the firmware writes "+name+" into an installed Windows", "os-install", at, name, note+"; assumes that it is there to be written")
		d.Check = "Compare the program on a fresh installation before and after the first start of this product."
		b.out.Door(d)
	}
}

func (b *bootFirmware) knownInstaller(f *product.File, name string) {
	d := installDoor(f, "the firmware writes a program into an installed Windows: "+name, "os-install", 0, f.Entry.Xattrs["uefi.guid"], "the file of the firmware has the GUID of this module, which installs an agent that is kept over a new installation")
	d.Check = "UEFIExtract on the image shows the file of this GUID; on the product, look for rpcnetp.exe or AbtAgent."
	b.out.Door(d)
}

func hasMark(f *product.File, marks []string) bool {
	for _, m := range marks {
		if f.Has(m) {
			return true
		}
	}
	return false
}

// agentIn is the first name of a program of Windows in a file, or -1.
func agentIn(f *product.File) (string, int64) {
	for _, m := range agentMarks {
		for _, form := range []string{m, utf16(m)} {
			if f.Has(form) {
				return m, f.Hits(form)[0]
			}
		}
	}
	if f.Has(startupMark) {
		return "Start Menu\\Programs\\Startup", f.Hits(startupMark)[0]
	}
	return "", -1
}

// wpbt finds Windows Platform Binary Tables: the table itself, or a module that
// makes one of a program that stands beside it.
func (b *bootFirmware) wpbt(f *product.File) {
	if !f.Has(wpbtMark) || f.Type.IsText() || !inFirmware(f) || f.Size > 64<<20 {
		return
	}
	all := f.Bytes()
	for _, at := range f.Hits(wpbtMark) {
		if size := wpbtTable(all, at); size > 0 {
			note := "the table hands Windows a program that it runs at each start; Windows asks for a signature, of whomever"
			d := installDoor(f, "the firmware installs a program in Windows by an ACPI table (WPBT)", "wpbt", at, "WPBT, "+wpbtMaker(all[at:]), note)
			d.Check = "acpidump on the running product shows the table; Windows keeps the program as System32\\wpbbin.exe."
			b.out.Door(d)
			return
		}
	}
	if native := b.native(); native != nil && f.Type.Executable() && inFirmware(f) {
		at := f.Hits(wpbtMark)[0]
		d := installDoor(f, "the firmware installs a program in Windows by an ACPI table (WPBT)", "wpbt", at, wpbtMark,
			"a module of the firmware names the table, and "+native.Path+" is a program for Windows' start (native subsystem); assumes that the module makes the table of it")
		d.Check = "acpidump on the running product shows the table; Windows keeps the program as System32\\wpbbin.exe."
		b.out.Door(d)
	}
}

// wpbtTable is the size of the table at an offset; 0 if its fields don't fit
// (Microsoft, Windows Platform Binary Table, section 2).
func wpbtTable(all []byte, at int64) int64 {
	if at+52 > int64(len(all)) {
		return 0
	}
	t := all[at:]
	size := int64(binary.LittleEndian.Uint32(t[4:]))
	layout, kind := t[48], t[49]
	if size < 52 || size > 4096 || t[8] != 1 || layout != 1 || kind != 1 {
		return 0
	}
	for _, c := range t[10:16] {
		if c != 0 && (c < 0x20 || c > 0x7e) {
			return 0
		}
	}
	return size
}

func wpbtMaker(t []byte) string {
	return "maker " + strings.TrimSpace(string(bytes.TrimRight(t[10:16], "\x00"))) + ", name " + strings.TrimSpace(string(bytes.TrimRight(t[16:24], "\x00")))
}

const subsystemNative = 1

// native is a program of the firmware that is for Windows' own start: EFI's have
// other subsystems.
func (b *bootFirmware) native() *product.File {
	for _, f := range b.product.Files {
		if f.Type != "pe" || f.Entry == nil || f.Entry.Xattrs["uefi.guid"] == "" || f.Deleted() {
			continue
		}
		h := f.Bytes()
		if len(h) < 0x40 {
			continue
		}
		pe := int64(binary.LittleEndian.Uint32(h[0x3c:]))
		if pe+0x5e <= int64(len(h)) && string(h[pe:pe+4]) == "PE\x00\x00" && binary.LittleEndian.Uint16(h[pe+0x5c:]) == subsystemNative {
			return f
		}
	}
	return nil
}
