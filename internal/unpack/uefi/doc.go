// Package uefi opens the firmware of PCs and servers: UEFI firmware volumes
// with their files and sections, capsules, variable stores, flash descriptors
// and what lies beside them on the flash (management engine, PSP, coreboot,
// option ROMs, microcode, ACPI tables).
package uefi
