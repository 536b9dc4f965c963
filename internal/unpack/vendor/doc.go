// Package vendor opens the headers that makers of devices and of chips put
// around kernels, root file systems and boot loaders: the files that a buyer
// downloads as "the firmware". Each reader proves what it opens by the header's
// own checksums, names the parts, and says model, version and region.
//
// The layouts are facts known from OpenWrt's firmware-utils, U-Boot's tools and
// the makers' own published sources; each reader names where its own comes from.
package vendor
