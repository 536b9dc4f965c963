// Package testtool gives tests the official tools that they compare with:
// mksquashfs, mkfs.jffs2 and their like. It is imported by tests only.
package testtool

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need returns the path of the named program. Without it the test is skipped,
// but fails if DOORWARD_NEED_TOOLS is set, as `make test` does after it has
// installed testdata/packages.txt: CI cannot pass by skipping.
func Need(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/lib/squashfs-tools"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	if os.Getenv("DOORWARD_NEED_TOOLS") != "" {
		t.Fatalf("%s is not installed: add its Debian package to testdata/packages.txt", name)
	}
	t.Skipf("%s is not installed (make test installs it)", name)
	return ""
}

// Run runs a tool with the given arguments in dir and fails the test, with
// what the tool said, if it fails.
func Run(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(Need(t, name), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}
