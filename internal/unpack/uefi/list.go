package uefi

import "github.com/doorward/doorward/internal/unpack"

// List holds the readers of this family.
var List = []*unpack.Reader{
	Volume,
	Variables,
	FaultTolerant,
	NVAR,
}
