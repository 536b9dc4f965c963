// Package disk opens what holds a disk or a part of one: partition tables, the
// file systems of cards and boot partitions, the images of virtual machines and
// of Android devices.
package disk
