package firmware

import (
	"context"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// BootFirmware finds doors of a PC's firmware.
var BootFirmware = &Detector{
	Name: "bootfirmware",
	Doc: "Doors of UEFI firmware and what lies beside it on the flash: test keys and switched-off checks of secure boot, the UEFI shell, booting from the network, " +
		"scripts built into iPXE, flash descriptors that let the host write the management engine, debugging unlocked by AMD's soft fuses, and programs that the firmware puts into the system (WPBT, Computrace and what works like it), setup options whose default opens debugging, the flash or the console, and the certificate that shim trusts.",
	Kinds: []doorward.Kind{doorward.KindKey, doorward.KindDebug, doorward.KindUpdate, doorward.KindPrivilege},
	Patterns: append(installMarks(),
		shellMark, httpBootMark, pxeBootMark, setupModeMark, tlsProtocol, ipxeMark, descriptorMark, fusesMark, gbbMark, englishMark, ipxeSite, ipxePrompt, vendorSection,
		"DO NOT TRUST", "DO NOT SHIP", "SnakeOil",
	),
	Scope: detect.ProductAll,
	Run:   runBootFirmware,
}

// Marks of EDK II's programs, whatever their file is called: texts that they
// show or variables that they define, and a GUID that they look for.
var (
	shellMark     = utf16("uefishellversion")
	httpBootMark  = utf16("UEFI HTTP Boot Driver")
	pxeBootMark   = utf16("UEFI PXE Base Code Driver")
	setupModeMark = utf16("SetupMode")
)

const (
	// EFI_TLS_PROTOCOL_GUID, 00CA959F-6CFA-4DB1-95BC-E46C47514390 (UEFI 2.10, section 28.10).
	tlsProtocol    = "\x9f\x95\xca\x00\xfa\x6c\xb1\x4d\x95\xbc\xe4\x6c\x47\x51\x43\x90"
	ipxeMark       = "#!ipxe\n"
	descriptorMark = "# Intel flash descriptor\n"
)

func runBootFirmware(ctx context.Context, p *product.Product, out *detect.Sink) error {
	b := &bootFirmware{p, out}
	for _, v := range p.Volumes {
		b.secureBoot(v)
	}
	b.testKeys()
	b.shell()
	b.network()
	b.installs()
	scripted := map[*product.File]bool{}
	for _, f := range p.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.Has(descriptorMark) {
			b.descriptor(f)
		}
		if f.Has(fusesMark) {
			b.fuses(f)
		}
		if f.Has(gbbMark) {
			b.verifiedBoot(f)
		}
		if f.Has(englishMark) && !f.Type.IsText() && !f.Deleted() && inFirmware(f) && f.Size <= 64<<20 {
			b.setup(f)
		}
		if f.Has(vendorSection) && f.Type == unpack.TypePE && !f.Deleted() {
			b.shim(f)
		}
		if f.Has(ipxeMark) && !f.Type.IsText() && !f.Deleted() {
			if b.ipxe(f) {
				scripted[f] = true
			}
		}
	}
	b.ipxeItself(scripted)
	return nil
}

type bootFirmware struct {
	product *product.Product
	out     *detect.Sink
}

// firmwareVolumes are the readers whose trees are firmware.
var firmwareVolumes = map[string]bool{"efi-volume": true, "option-rom": true, "cbfs": true, "amd-flash": true}

// inFirmware says that a file is part of firmware: a volume of UEFI or a ROM, or
// a folder into which somebody unpacked one, but no operating system and no
// boot partition.
func inFirmware(f *product.File) bool {
	if f.Deleted() {
		return false
	}
	v := f.Volume
	if v == nil {
		v = volumeAround(f)
	}
	if v == nil || firmwareVolumes[v.Format] {
		return true
	}
	for _, dir := range []string{"usr", "etc", "EFI", "efi", "boot"} {
		if v.Exists(dir) {
			return false
		}
	}
	return !v.IsRoot() && v.Format == "directory"
}

// volumeAround is the innermost volume in whose files a blob lies; nil if in none.
func volumeAround(f *product.File) *product.Volume {
	where := f.Where()
	if len(where) == 0 {
		return nil
	}
	var inner *product.Volume
	depth := -1
	for _, v := range f.Product().Volumes {
		for _, place := range v.Places {
			if len(place) > depth && len(place) < len(where[0].Path) && slices.Equal(place, where[0].Path[:len(place)]) {
				inner, depth = v, len(place)
			}
		}
	}
	return inner
}

// programs are the programs of the firmware that have a mark.
func (b *bootFirmware) programs(mark string) []*product.File {
	var list []*product.File
	for _, f := range b.product.Files {
		if f.Type.Executable() && f.Has(mark) && inFirmware(f) {
			list = append(list, f)
		}
	}
	return list
}

// placed is a door at all files that show it.
func placed(d doorward.Door, files []*product.File, mark, what, note string) doorward.Door {
	for _, f := range files {
		at := f.Hits(mark)[0]
		d.Where = append(d.Where, f.WhereAt(at)...)
		if len(d.Evidence) == 0 {
			d.Evidence = append(d.Evidence, doorward.Evidence{What: what, Note: note, Path: f.Path, Offset: &at})
		}
	}
	d.Detail["path"] = files[0].Path
	if files[0].Volume == nil {
		d.Detail["path"] = files[0].Inner() // of what a file packs, the file
	}
	return d
}

// shell finds the UEFI shell.
func (b *bootFirmware) shell() {
	files := b.programs(shellMark)
	b.out.Looked(doorward.KindDebug, len(files), "UEFI shell")
	if len(files) == 0 {
		return
	}
	d := debugDoor("boot-shell", "the UEFI shell is built into the firmware", doorward.Physical, doorward.Open)
	d.Check = "At the keyboard or console, choose the shell in the boot menu, or let booting fail."
	b.out.Door(placed(d, files, shellMark, "uefishellversion", "it reads and writes memory, devices and files before any system runs; secure boot does not stop a shell of the firmware itself"))
}

// network finds what boots from the network.
func (b *bootFirmware) network() {
	checked := len(b.programs(setupModeMark)) > 0
	tls := len(b.programs(tlsProtocol)) > 0
	for _, n := range []struct{ mark, text, protocol string }{{httpBootMark, "UEFI HTTP Boot Driver", "http"}, {pxeBootMark, "UEFI PXE Base Code Driver", "pxe"}} {
		files := b.programs(n.mark)
		b.out.Looked(doorward.KindUpdate, len(files), "network boot")
		if len(files) == 0 {
			continue
		}
		b.out.Door(networkDoor(files, n.mark, n.text, n.protocol, checked, tls))
	}
}

func networkDoor(files []*product.File, mark, text, protocol string, checked, tls bool) doorward.Door {
	hidden, signed, note := doorward.Open, "false", "what boots is what the network's DHCP server names, and nothing checks it"
	if checked {
		hidden, signed, note = doorward.Checked, "unknown", "what boots is what the network's DHCP server names; assumes that secure boot, which the firmware has, is switched on and checks it"
	}
	d := doorward.Door{
		Kind: doorward.KindUpdate, Title: "the firmware can boot from the network by " + strings.ToUpper(protocol), Reach: doorward.Adjacent,
		Stages: []doorward.Stage{doorward.Signal, doorward.Access}, Certainty: doorward.Likely,
		Weight: doorward.Weigh(doorward.Change, doorward.Adjacent, hidden, protocol == "pxe" || !tls), References: []string{"CWE-494"},
		Detail: doorward.Detail{"what": "network-boot", "protocol": protocol, "signed": signed},
		Check:  "Watch the network while the product starts with nothing to boot from: it asks by DHCP and fetches what the answer names.",
	}
	if protocol == "http" {
		d.Detail["tls"] = tls
	}
	return placed(d, files, mark, text, note)
}
