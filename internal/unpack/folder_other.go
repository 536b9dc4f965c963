//go:build !unix

package unpack

import "io/fs"

func setOwner(*Entry, fs.FileInfo) [2]uint64 { return [2]uint64{} }
