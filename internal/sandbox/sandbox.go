// Package sandbox takes from this process what an inspection does not need,
// before the first byte of an artifact is read: files that were not named, all
// of the network, other programs and other processes. Should a reader ever be
// tricked, there is nothing to reach.
//
// Two layers of the Linux kernel do it, each if the kernel has it: Landlock
// (files, TCP) and a seccomp filter (system calls). On other systems there is
// none, and Enter says so.
package sandbox

// Policy is what the process keeps.
type Policy struct {
	Read  []string // files and folders to read; what does not exist is left out
	Write []string // folders in which files may be made and changed
}

// Layer is one protection and how it fares.
type Layer struct {
	Name   string // "landlock"
	Doc    string // what it takes away
	Active bool
	Note   string // why it is not active, or how far it reaches
}
