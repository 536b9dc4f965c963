package formats

import (
	"fmt"
	"io"
	"strings"
)

//go:generate go run ./generate ../../../docs/formats.md

// WriteTable writes docs/formats.md: every reader in the order of All, in its
// own words.
func WriteTable(w io.Writer) {
	fmt.Fprintf(w, "# Formats\n\nWhat Doorward opens, in the order in which readers are tried: %d readers. This page is made from the readers' own list by `go generate ./internal/unpack/formats`.\n", len(All))
	fmt.Fprint(w, "\n| format | what | not read | checked against |\n|---|---|---|---|\n")
	for _, r := range All {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", r.Name, cell(r.Doc), cell(r.Limits), cell(r.Checked))
	}
	fmt.Fprint(w, "\n", notYet)
}

func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// notYet is what is asked for and has no reader.
const notYet = `## Not read yet

Reported as unread, with place and size, wherever they occur:

- disks of virtual machines that change another file; VMDK's seSparse extents
- file systems: encrypted and sealed APFS volumes; the journals of HFS+, NTFS, JFS and ReiserFS are not replayed
- recognised only: LUKS, BitLocker, ZFS, bcachefs, NILFS2, ReFS, members of RAID 0 and 4 to 10
- archives and installers: the files of Inno Setup, InstallShield, Flatpak
- raw NAND dumps whose codes are Reed-Solomon or LDPC, or whose pages are scrambled
- encrypted parts whose key is not given or whose format --key does not know (docs/keys.md)
`
