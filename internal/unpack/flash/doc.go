// Package flash opens the file systems of flash memory and of read-only
// images in devices, and the layers below them.
package flash
