package uefi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// ACPITable knows tables of the ACPI specification (6.5, section 5.2.6): in raw
// sections of files, in files of their own, and in raw images.
var ACPITable = &unpack.Reader{
	Name:    "acpi-table",
	Doc:     "ACPI tables with maker, name and revision; their checksum",
	Limits:  "The byte code of DSDT and SSDT (AML) is not decompiled. Within other bytes only tables with a right checksum are found.",
	Checked: "iasl's tables of ten sorts",
	Magics:  acpiMagics(),
	Carve:   true,
	Open:    openACPI,
}

const (
	acpiHead = 36
	acpiMax  = 4 << 20
)

// acpiNames are signatures of ACPI 6.5 (tables 5.5 and 5.6) and of the documents
// that it reserves names for.
const acpiNames = "APIC BERT BGRT BOOT CCEL CDAT CPEP CSRT DBG2 DBGP DMAR DRTM DSDT ECDT EINJ ERST ETDT FACP FPDT GTDT HEST HMAT HPET IBFT IORT IVRS LPIT MADT MCFG MCHI MPAM MPST MSCT MSDM NFIT NHLT " +
	"PCCT PDTT PHAT PMTT PPTT PRMT PSDT RASF RGRT RSDT SBST SDEI SDEV SLIC SLIT SPCR SPMI SRAT SSDT STAO SVKL TCPA TPM2 UEFI VFCT VIOT WAET WDAT WDDT WDRT WPBT WSMT XENV XSDT ASF!"

func acpiMagics() (list []unpack.Magic) {
	for _, name := range strings.Fields(acpiNames) {
		list = append(list, unpack.Magic{Bytes: name})
	}
	return list
}

// acpiText says that a field of the header holds what makers write there:
// letters, digits and the like, blanks and zeros behind them.
func acpiText(b []byte) bool {
	return printable(b) || unpack.OnlyByte(b, 0)
}

func openACPI(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, acpiHead)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	size := int64(le32(h[4:]))
	if size < acpiHead || size > acpiMax || size > in.Data.Size() || h[8] == 0 || h[8] > 16 || !printable(h[10:16]) || !acpiText(h[16:24]) || !acpiText(h[28:32]) {
		return nil, unpack.ErrNotThis
	}
	b, err := unpack.ReadFull(in.Data, 0, size)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	trim := func(b []byte) string { return strings.TrimSpace(unpack.CString(b)) }
	o := &unpack.Object{Format: "acpi table " + string(h[:4]), Size: size, Info: map[string]string{
		"table": string(h[:4]), "maker": trim(h[10:16]), "name": trim(h[16:24]), "revision": fmt.Sprintf("0x%x", le32(h[24:])), "made by": strings.TrimSpace(trim(h[28:32]) + fmt.Sprintf(" 0x%x", le32(h[32:])))}}
	if sum8(b) != 0 {
		// Some are completed while booting: then the file is the table and no more.
		if !in.Whole || in.Data.Size()-size >= 16 {
			return nil, unpack.ErrNotThis
		}
		if h[9] != 0 {
			o.Err = errors.New("acpi table: wrong checksum")
		}
	}
	return o, nil
}
