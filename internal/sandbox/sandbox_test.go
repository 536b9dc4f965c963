package sandbox

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestConfined enters the sandbox in a process of its own, since there is no
// way back, and tries from several threads what must and must not be possible.
func TestConfined(t *testing.T) {
	if os.Getenv("DOORWARD_CONFINED") != "" {
		confined(t)
		return
	}
	if !Supported() {
		t.Skip("this kernel has no Landlock")
	}
	dir := t.TempDir()
	for _, sub := range []string{"in", "out", "other"} {
		os.Mkdir(filepath.Join(dir, sub), 0o755)
		os.WriteFile(filepath.Join(dir, sub, "file"), []byte("x"), 0o644)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestConfined$", "-test.v")
	cmd.Env = append(os.Environ(), "DOORWARD_CONFINED="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func confined(t *testing.T) {
	dir := os.Getenv("DOORWARD_CONFINED")
	in := func(p string) string { return filepath.Join(dir, p) }
	for _, l := range Enter(Policy{Read: []string{in("in"), in("missing")}, Write: []string{in("out")}}) {
		if !l.Active {
			t.Errorf("%s is not active: %s", l.Name, l.Note)
		}
	}
	read := func(p string) error { _, err := os.ReadFile(in(p)); return err }
	write := func(p string) error { return os.WriteFile(in(p), []byte("y"), 0o600) }
	for what, err := range map[string]error{
		"reads what was named":         read("in/file"),
		"writes the output":            write("out/new"),
		"replaces a file beside it":    os.Rename(in("out/new"), in("out/file")),
		"removes a file of its folder": os.Remove(in("out/file")),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	done := make(chan error, 8)
	for range cap(done) {
		go func() { done <- read("other/file") }()
	}
	for range cap(done) {
		if err := <-done; !errors.Is(err, fs.ErrPermission) {
			t.Errorf("another file can be read: %v", err)
		}
	}
	_, socket := net.Dial("udp", "127.0.0.1:9")
	for what, err := range map[string]error{
		"writes where it reads": write("in/file"), "writes elsewhere": write("other/file"), "opens a socket": socket,
		"starts a program": exec.Command("/bin/true").Run(), "reads another process": syscall.PtraceAttach(os.Getppid()),
	} {
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
