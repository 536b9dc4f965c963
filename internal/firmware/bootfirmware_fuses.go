package firmware

import (
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

const (
	fusesMark   = "# AMD soft fuses\n"
	fusesUnlock = "secure debug unlocked\n"
	gbbMark     = "# Google binary block\n"
	gbbForced   = "developer mode is forced\n"
)

// fuses finds soft fuses of AMD's security processor that unlock its debugging.
func (b *bootFirmware) fuses(f *product.File) {
	if !f.Type.IsText() || !strings.HasPrefix(f.Text(), fusesMark) {
		return
	}
	b.out.Looked(doorward.KindDebug, 1, "soft fuses")
	if !strings.Contains(f.Text(), fusesUnlock) {
		return
	}
	d := debugDoor("jtag", "the security processor's debugging is unlocked by a soft fuse", doorward.Physical, doorward.Open)
	d.Certainty = doorward.Likely
	d.Detail["path"] = f.Path
	d.Where = f.Where()
	d.Evidence = []doorward.Evidence{{What: strings.Split(f.Text(), "\n")[1], Path: f.Path, Note: "bit 0 of the soft fuse chain, which coreboot sets for PSP_UNLOCK_SECURE_DEBUG; assumes that the processor's own fuses allow it"}}
	d.Check = "amdfwread of coreboot, or PSPTool, shows the directory's entry of type 0x0b."
	b.out.Door(d)
}

// verifiedBoot finds flags of Chromium OS' firmware that switch verified boot
// off.
func (b *bootFirmware) verifiedBoot(f *product.File) {
	if !f.Type.IsText() || !strings.HasPrefix(f.Text(), gbbMark) {
		return
	}
	b.out.Looked(doorward.KindPrivilege, 1, "Google binary block")
	if !strings.Contains(f.Text(), gbbForced) {
		return
	}
	b.secureBootOff(f, "verified boot is switched off: a flag forces developer mode", "the block's "+strings.Split(f.Text(), "\n")[1]+" has the bit FORCE_DEV_SWITCH_ON: systems without the maker's signature boot")
}
