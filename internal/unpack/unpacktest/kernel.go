package unpacktest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/internal/testtool"
)

// KernelImage is an image of a file system for the kernel to write to.
type KernelImage struct {
	File    string // the image, made by the format's mkfs
	Tree    string // a folder whose content goes there
	Type    string // of the file system, as mount calls it
	Options string // of mount
	Script  string // shell commands that run in the mounted root after the tree was unpacked there
}

// KernelWrite unpacks folders into file systems that have a mkfs but no tool to
// fill them, by mounting them in a Linux that runs as an ordinary program
// (Debian's user-mode-linux): nothing is mounted on this machine. The machine's
// own root is its root, read-only.
func KernelWrite(t testing.TB, images ...KernelImage) {
	t.Helper()
	uml := testtool.Need(t, "linux.uml")
	tmp := t.TempDir()
	script := "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\nmount -t proc none /proc\n"
	args := []string{"mem=96M", "rootfstype=hostfs", "rootflags=/", "ro", "init=" + filepath.Join(tmp, "init"), "con=null", "con0=null,fd:1", "quiet", "panic=1", "umid=" + filepath.Base(tmp)}
	for i, m := range images {
		archive := filepath.Join(tmp, fmt.Sprintf("tree%d.tar", i))
		testtool.Run(t, "", "tar", "--xattrs", "--sparse", "-C", m.Tree, "-cf", archive, ".")
		if found, _ := filepath.Glob("/usr/lib/uml/modules/*/kernel/fs/" + m.Type + "/" + m.Type + ".ko"); len(found) > 0 {
			script += "insmod " + found[0] + " 2>/dev/null\n"
		}
		options := m.Options
		if options == "" {
			options = "rw"
		}
		args = append(args, fmt.Sprintf("ubd%d=%s", i, m.File))
		script += fmt.Sprintf("(set -e; mount -t %s -o %s /dev/ubd%c /mnt; cd /mnt; tar --xattrs --xattrs-include='*' -xpf %s; %s\n cd /; umount /mnt; echo WRITTEN %d)\n", m.Type, options, 'a'+i, archive, m.Script, i)
	}
	script += "echo o > /proc/sysrq-trigger\nsleep 20\n"
	if err := os.WriteFile(filepath.Join(tmp, "init"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, uml, args...)
	cmd.Env = append(os.Environ(), "HOME="+tmp, "TMPDIR="+tmp)
	// It runs as several processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	for i, m := range images {
		if !strings.Contains(string(out), fmt.Sprintf("WRITTEN %d", i)) {
			t.Fatalf("the kernel did not write %s %q: %v\n%s", m.Type, m.Options, err, out)
		}
	}
}
