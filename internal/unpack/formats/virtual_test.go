package formats

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
)

// TestVirtualDisksThroughout opens a disk with partitions and a file system as
// the machines that run it have it, one in an OVA file.
func TestVirtualDisksThroughout(t *testing.T) {
	for _, tool := range []string{"qemu-img", "sgdisk", "mke2fs", "tar"} {
		testtool.Need(t, tool)
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.MkdirAll(path("tree/etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"disk.raw": 300 << 20, "fs": 64 << 20} {
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path(name), size); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path("tree/etc/hostname"), []byte("machine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, dir, "sgdisk", "-n", "1:2048:+100M", "-c", "1:system", "disk.raw")
	testtool.Run(t, dir, "mke2fs", "-q", "-t", "ext4", "-d", "tree", "fs")
	testtool.Run(t, dir, "dd", "if=fs", "of=disk.raw", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none")
	for _, x := range []struct{ format, options, step string }{
		{"qcow2", "", "qcow2@0x0"}, {"vmdk", "subformat=streamOptimized", "vmdk@0x0"}, {"vdi", "", "vdi@0x0"}, {"vpc", "force_size=on", "vhd@0x0"}, {"vpc", "force_size=on,subformat=fixed", "vhd-fixed@0x0"}, {"vhdx", "", "vhdx@0x0"},
	} {
		args := []string{"convert", "-f", "raw", "-O", x.format}
		if x.options != "" {
			args = append(args, "-o", x.options)
		}
		testtool.Run(t, dir, "qemu-img", append(args, "disk.raw", "disk")...)
		name, step := "disk", x.step
		if x.options == "subformat=streamOptimized" {
			testtool.Run(t, dir, "tar", "-cf", "disk.ova", "disk")
			name, step = "disk.ova", "disk "+x.step
		}
		data, closer, err := unpack.File(path(name))
		if err != nil {
			t.Fatal(err)
		}
		res, err := unpack.Explore(context.Background(), name, data, unpack.Options{Readers: All})
		if err != nil {
			t.Fatal(err)
		}
		closer.Close()
		c := res.Root.Content
		for s := range strings.FieldsSeq(step + " gpt:1 etc/hostname") {
			c = child(t, c, x.format, s)
		}
		if c.Size != 8 {
			t.Errorf("%s: %d bytes", x.format, c.Size)
		}
		if unread := gaps(res.Root.Content); unread != nil {
			t.Errorf("%s: %v", x.format, unread)
		}
	}
}

func child(t *testing.T, c *unpack.Content, format, step string) *unpack.Content {
	t.Helper()
	var steps []string
	for _, n := range c.Children {
		if n.Step == step || strings.HasPrefix(step, "gpt:") && strings.HasPrefix(n.Step, "gpt:") {
			return n.Content
		}
		steps = append(steps, n.Step)
	}
	t.Fatalf("%s: no step %q in %q", format, step, steps)
	return nil
}

func gaps(c *unpack.Content) (list []string) {
	for _, g := range c.Gaps {
		list = append(list, fmt.Sprintf("%+v", g))
	}
	for _, n := range c.Children {
		list = append(list, gaps(n.Content)...)
	}
	return list
}
