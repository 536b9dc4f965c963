//go:build !linux

package sandbox

import "runtime"

// Enter does nothing on this system, and says so.
func Enter(Policy) []Layer {
	return []Layer{{Name: "sandbox", Doc: "files, network, programs", Note: "there is none for " + runtime.GOOS + " yet"}}
}

// Supported says that nothing confines files here.
func Supported() bool { return false }
